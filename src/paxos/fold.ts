/**
 * Building what a proposer proposes: all that waits in the lane evaluated in order on the newest chosen entry and folded
 * into one entry (P15), or a no-op copy of that entry (P20). What a lane proposes is always built here.
 */
import { assert } from "../base/assert.js";
import type { Context } from "./context.js";
import { type AppliedRequest, type Entry, makeEntry } from "./entry.js";
import { evaluate, isExpired, type LiveValue, liveValueOf } from "./evaluate.js";
import { type Folded, type Lane, MAX_FOLD } from "./lane.js";
import type { WriteOutcome } from "./operation.js";
import { carryWindow } from "./window.js";

export interface Fold {
  /** Null: every condition failed and nothing would change; the failures want a strong read instead (P21). */
  readonly entry: Entry | null;
  readonly folded: readonly Folded[];
}

export function buildFold(context: Context, lane: Lane): Fold {
  const base = lane.plog.chosen;
  const index = base.index + 1;
  assert(lane.testedIndex === base.index, "P14: what is proposed was tested on the entry below it");
  let live: LiveValue = liveValueOf(base, context.wallMs);
  let changed = false;
  if (isExpired(base, context.wallMs)) {
    live = { ...live, version: live.version + 1 };
    changed = true;
  }
  const folded: Folded[] = [];
  const requests: AppliedRequest[] = [];
  for (const pending of lane.operations) {
    if (folded.length >= MAX_FOLD) break;
    const result = evaluate(pending.operation, live, context.wallMs);
    let outcome: WriteOutcome;
    if (result.applied) {
      live = result.next;
      changed = true;
      outcome = { status: "ok", index, version: live.version, result: result.result };
    } else {
      outcome = {
        status: "failed",
        reason: result.reason,
        version: live.exists ? live.version : 0,
        result: result.result,
      };
    }
    folded.push({ pending, outcome });
    requests.push({
      id: pending.request,
      index,
      refusal: result.applied ? null : result.reason,
      result: result.result,
      version: outcome.version,
    });
  }
  if (!changed) return { entry: null, folded };
  const window = carryWindow(base);
  const entry = makeEntry(
    {
      index,
      tombstone: !live.exists,
      version: live.version,
      expiryMs: live.expiryMs,
      leader: context.namedLeader,
      coveredFrom: window.coveredFrom,
      value: live.value,
    },
    [...requests, ...window.requests],
  );
  return { entry, folded };
}

/** P20: a copy of the newest chosen entry one index higher; it keeps value and version and carries the list on (P14). */
export function buildNoop(context: Context, lane: Lane): Entry {
  const base = lane.plog.chosen;
  const window = carryWindow(base);
  return makeEntry(
    {
      index: base.index + 1,
      tombstone: base.tombstone,
      version: base.version,
      expiryMs: base.expiryMs,
      leader: context.namedLeader,
      coveredFrom: window.coveredFrom,
      value: base.value,
    },
    window.requests,
  );
}
