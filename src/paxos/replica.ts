/**
 * The door of the consensus core: `step` takes one input for one key's lane and leaves what is to be done in `effects`.
 * It dispatches and decides nothing itself; each role has its own file.
 */
import type { Context } from "./context.js";
import type { Effects } from "./effects.js";
import type { Lane } from "./lane.js";
import type { Message } from "./message.js";
import type { Operation, RequestId } from "./operation.js";
import type { ReplicaId } from "./ballot.js";

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
  /** Every record and mark that the lane asked for up to its `sequence` is durable (see Lane.writes). */
  | { readonly type: "persisted"; readonly sequence: number }
  /** The wish of wakeAtTick, or a change of suspicion. */
  | { readonly type: "tick" };

/** One input for one key; what follows from it is appended to `effects`, which the host has cleared. */
export declare function step(context: Context, lane: Lane, input: Input, effects: Effects): void;
