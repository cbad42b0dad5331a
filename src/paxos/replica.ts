/**
 * The door of the consensus core: `step` takes one input for one key's lane and leaves what is to be done in `effects`.
 * It dispatches and decides nothing itself; each role has its own file.
 *
 * What is guaranteed, as long as at most a minority of replicas lose what they made durable: at every index of a key at
 * most one entry is ever chosen (agreement); an answered write is in every entry chosen later, or under it; a strong
 * read answers an entry that was the newest at a moment between its beginning and its end; a request is applied at most
 * once, whoever proposes it and however often; NOT APPLIED is final.
 *
 * The flows, by message name. Own write at the leader: Accept to all, Accepted back, Chosen. Write elsewhere: Submit to the
 * leader, its Accept to all, Accepted to the submitter, Chosen. Leader taken: SubmitRefused, Forward, ForwardReply. Leader
 * dead: Prepare, Promise, Accept, Accepted, Chosen. Reading: StateQuery, StateReply, perhaps Fetch and Learn. Behind:
 * Behind, then the same message again with its base; or Learn in place of an answer.
 *
 * Left out: who is asked before a key is restored (P31), levels that survive a restart (P27), verification (P28), all of
 * them the host's; forgetting tombstones (P24), moving a key to another group (P33).
 */
import { unreachable } from "../base/assert.js";
import { onAccept, onPrepare } from "./acceptor.js";
import type { ReplicaId } from "./ballot.js";
import type { Context } from "./context.js";
import { drive, onForwardReply } from "./drive.js";
import type { Effects } from "./effects.js";
import { type Lane, MAX_LANE_OPERATIONS, newPending } from "./lane.js";
import { onForward, onSubmit, refusal } from "./leader.js";
import { onChosen, onLearn, onPersisted } from "./learner.js";
import type { Message } from "./message.js";
import type { Operation, RequestId } from "./operation.js";
import { noteDeadline } from "./outcome.js";
import { onAccepted, onBehind, onPromise, onSubmitRefused } from "./proposer.js";
import { addRead, onFetch, onStateQuery, onStateReply } from "./reader.js";
import { onRestore, type RestoreInput } from "./restore.js";

export type Input =
  | { readonly type: "message"; readonly from: ReplicaId; readonly message: Message }
  /** A client's write. Answered once, by a write reply with `client`. */
  | {
      readonly type: "write";
      readonly client: number;
      readonly request: RequestId;
      readonly operation: Operation;
      readonly deadlineTick: number;
    }
  /** A client's strong read. Answered once, by a read reply with `client`. */
  | { readonly type: "read"; readonly client: number; readonly deadlineTick: number }
  /** Every record and mark that the lane asked for up to this sequence (Lane.writes) is durable. */
  | { readonly type: "persisted"; readonly sequence: number }
  /** P31: all others were asked; this replica may vote again, above what they told. */
  | RestoreInput
  /** The tick of wakeAtTick has come, or suspicion has changed. */
  | { readonly type: "tick" };

type WriteInput = Extract<Input, { type: "write" }>;

/** One input for one key; what follows from it is appended to `effects`, which the host has cleared. */
export function step(context: Context, lane: Lane, input: Input, effects: Effects): void {
  switch (input.type) {
    case "message":
      if (!lane.quarantined) onMessage(context, lane, input.from, input.message, effects);
      break;
    case "write":
      onWrite(lane, input, context, effects);
      break;
    case "read":
      addRead(context, lane, { client: input.client, deadlineTick: input.deadlineTick });
      break;
    case "persisted":
      onPersisted(lane, input.sequence, effects);
      // Durability decides nothing by itself: the host lets the answers go, and they come back as messages.
      if (lane.read === null) return;
      break;
    case "restore":
      onRestore(context, lane, input, effects);
      break;
    case "tick":
      break;
    default:
      unreachable(input);
  }
  drive(context, lane, effects);
}

function onWrite(lane: Lane, input: WriteInput, context: Context, effects: Effects): void {
  if (lane.operations.length + lane.forwarded.length >= MAX_LANE_OPERATIONS) {
    const outcome = refusal("BUSY", "too many writes wait for this key");
    effects.writeReplies.push({ client: input.client, outcome });
    return;
  }
  const { client, request, operation, deadlineTick } = input;
  const pending = newPending(client, context.self, request, operation, deadlineTick);
  lane.operations.push(pending);
  noteDeadline(lane, pending);
}

function onMessage(context: Context, lane: Lane, from: ReplicaId, message: Message, effects: Effects): void {
  switch (message.type) {
    case "prepare":
      onPrepare(context, lane, from, message, effects);
      return;
    case "promise":
      onPromise(context, lane, from, message, effects);
      return;
    case "accept":
      onAccept(context, lane, from, message, effects);
      return;
    case "accepted":
      onAccepted(context, lane, from, message, effects);
      return;
    case "behind":
      onBehind(context, lane, from, message, effects);
      return;
    case "learn":
      onLearn(context, lane, message, effects);
      return;
    case "chosen":
      onChosen(context, lane, from, message, effects);
      return;
    case "submit":
      onSubmit(context, lane, from, message, effects);
      return;
    case "submit-refused":
      onSubmitRefused(context, lane, message, effects);
      return;
    case "forward":
      onForward(context, lane, from, message, effects);
      return;
    case "forward-reply":
      onForwardReply(context, lane, from, message, effects);
      return;
    case "state-query":
      onStateQuery(context, lane, from, message, effects);
      return;
    case "state-reply":
      onStateReply(context, lane, from, message, effects);
      return;
    case "fetch":
      onFetch(context, lane, from, message, effects);
      return;
    default:
      unreachable(message);
  }
}
