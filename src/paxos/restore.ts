/**
 * The second half of P31 for one key: a learner that knows from all other replicas how far its lost votes may reach votes
 * again above that. What was asked, of whom and when is the host's affair; here is what is written, and that nothing
 * votes before it is durable.
 */
import { isUntouched } from "./acceptor.js";
import type { ReplicaId } from "./ballot.js";
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Lane } from "./lane.js";
import { fetchFrom, hasRoomToPromise, persistChosen, persistPosition } from "./learner.js";

/** How many patiences a restore waits for the entry that it fetches. */
const FETCH_PATIENCES = 8;

/** A loss under which nothing was asked: what is broken is to be written as a learner's, and no more. */
export const NOT_POLLED = -1;

/** All other replicas have told, under `loss`, the highest index that they hold in any way: `votesFrom` - 1 at the most. */
export interface RestoreInput {
  readonly type: "restore";
  /** The number of the loss under which all others were asked, or NOT_POLLED. */
  readonly loss: number;
  readonly votesFrom: number;
  /** The newest chosen entry that any of them told of, and who holds it; index 0 = none does. */
  readonly index: number;
  readonly from: ReplicaId;
}

export function onRestore(context: Context, lane: Lane, input: RestoreInput, effects: Effects): void {
  const { plog } = lane;
  const { loss, votesFrom, index } = input;
  if (!plog.learner || lane.quarantined || lane.restore !== null) return;
  if (loss < plog.loss) {
    // The damage is younger than the loss that was asked under: what the disk is to say of it is that this is a learner.
    if (lane.damaged && plog.chosen.index >= index && hasRoomToPromise(context, lane)) persistPosition(lane, effects);
    return;
  }
  const untilTick = context.tick + context.patienceTicks * FETCH_PATIENCES;
  lane.restore = { loss, votesFrom, index, untilTick, sequence: 0 };
  if (plog.chosen.index >= index) return; // written by driveRestore
  lane.fetchedTick = 0;
  fetchFrom(context, lane, input.from, index, effects);
}

/** Writes what makes this replica a voter, once it holds what it fetches; gives up when that does not come. */
export function driveRestore(context: Context, lane: Lane, effects: Effects): void {
  const { plog, restore } = lane;
  if (restore === null || restore.sequence > 0) return;
  if (plog.chosen.index < restore.index) {
    if (context.tick >= restore.untilTick) lane.restore = null;
    return;
  }
  if (context.diskFull || !context.storeWorks) {
    if (context.tick >= restore.untilTick) lane.restore = null;
    return;
  }
  restore.sequence = lane.writes + 1; // from here on records say that it votes
  // What this replica promised and accepted before the loss stays: it is below `votesFrom`, or nobody counts it any more.
  if (plog.chosen.index > 0) lane.baseUnsaved = true;
  if (isUntouched(lane) && plog.chosen.index > 0) persistChosen(lane, plog.chosen, effects);
  else persistPosition(lane, effects);
  restore.sequence = lane.writes;
}
