/**
 * What replicas say to each other about one key. Every message may be lost, doubled, reordered or delivered after any
 * crash; the rules in the roles do not care. `index` is the position a message is about; `mark` is the ballot at which
 * index - 1 was chosen (P13: the chosen mark rides along); `base` is the chosen entry at index - 1 itself, sent after
 * somebody said BEHIND (P4).
 */
import type { Key } from "../base/key.js";
import type { Ballot, ReplicaId } from "./ballot.js";
import type { Entry } from "./entry.js";
import type { Operation, RequestId, WriteOutcome } from "./operation.js";

/** Phase one: promise nothing below `ballot` at `index`. */
export interface PrepareMessage {
  readonly type: "prepare";
  readonly key: Key;
  readonly index: number;
  readonly ballot: Ballot;
  readonly mark: Ballot;
  readonly base: Entry | null;
}

/** Answer to Prepare, grant or refusal (P1): always shows what is promised and accepted. */
export interface PromiseMessage {
  readonly type: "promise";
  readonly key: Key;
  readonly index: number;
  /** The ballot asked for. */
  readonly ballot: Ballot;
  readonly granted: boolean;
  readonly promised: Ballot;
  /** NO_BALLOT when nothing is accepted at `index`. */
  readonly accepted: Ballot;
  readonly entry: Entry | null;
  readonly chosenIndex: number;
}

/** Phase two, or class zero. Answers go to `proposer`, which need not be the sender (P8). */
export interface AcceptMessage {
  readonly type: "accept";
  readonly key: Key;
  readonly index: number;
  readonly ballot: Ballot;
  readonly entry: Entry;
  readonly proposer: ReplicaId;
  readonly mark: Ballot;
  readonly base: Entry | null;
}

/** Answer to Accept, sent to the proposer. `entryHash` names the entry that was voted on. */
export interface AcceptedMessage {
  readonly type: "accepted";
  readonly key: Key;
  readonly index: number;
  readonly ballot: Ballot;
  readonly entryHash: number;
  readonly granted: boolean;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly chosenIndex: number;
}

/** P4: the sender does not hold index - 1 as chosen; `phase` says which message it could not answer. */
export interface BehindMessage {
  readonly type: "behind";
  readonly key: Key;
  readonly index: number;
  readonly ballot: Ballot;
  readonly phase: "prepare" | "accept" | "submit";
  readonly chosenIndex: number;
  /** Of the submit that is answered, which was not taken and never will be; 0 for the other phases. */
  readonly sequence: number;
}

/** A chosen entry with everything in it (catch-up by one message). */
export interface LearnMessage {
  readonly type: "learn";
  readonly key: Key;
  readonly entry: Entry;
}

/** P13: the entry accepted at `ballot` was chosen at `index`. */
export interface ChosenMessage {
  readonly type: "chosen";
  readonly key: Key;
  readonly index: number;
  readonly ballot: Ballot;
}

/** P7: a value for the leader of `index` to give class zero to. Taken once, like a forward. */
export interface SubmitMessage {
  readonly type: "submit";
  readonly key: Key;
  readonly index: number;
  readonly entry: Entry;
  readonly mark: Ballot;
  readonly base: Entry | null;
  /** The sender's. */
  readonly incarnation: number;
  readonly targetIncarnation: number;
  /** No other submit or forward of this incarnation to this target has it. */
  readonly sequence: number;
}

/**
 * The leader lives but class zero is gone at `index` (P10: the submitter forwards its operations). It never gave class zero to
 * what it refuses here and never will, so nothing in it counts as proposed.
 */
export interface SubmitRefusedMessage {
  readonly type: "submit-refused";
  readonly key: Key;
  readonly index: number;
  /** Of the submit that is refused. */
  readonly sequence: number;
  readonly promised: Ballot;
  readonly chosenIndex: number;
  /** The chosen entry, when `index` is decided. */
  readonly entry: Entry | null;
}

/** P16: an operation for the leader's lane. Taken only by the incarnation it names, and once. */
export interface ForwardMessage {
  readonly type: "forward";
  readonly key: Key;
  readonly request: RequestId;
  readonly operation: Operation;
  /** Lowest index at which anybody may have proposed the request, or may yet: its origin falls back to its own lane (P14). */
  readonly since: number;
  /** What is left of the client's deadline, in ticks. */
  readonly remainingTicks: number;
  readonly targetIncarnation: number;
  /** No other submit or forward of the origin's incarnation to this target has it. */
  readonly sequence: number;
}

/** What became of a forwarded operation. `index` is the chosen index the outcome was decided at (0 if none). */
export interface ForwardReplyMessage {
  readonly type: "forward-reply";
  readonly key: Key;
  readonly request: RequestId;
  readonly outcome: WriteOutcome;
  readonly index: number;
  /** Of the forward that this answers: a request may be forwarded again, and answers may be late or doubled. */
  readonly sequence: number;
}

/** P18: what is your state of this key? `knownIndex` is the chosen index the asker holds. */
export interface StateQueryMessage {
  readonly type: "state-query";
  readonly key: Key;
  readonly query: number;
  readonly knownIndex: number;
}

/** P18: durable state only. */
export interface StateReplyMessage {
  readonly type: "state-reply";
  readonly key: Key;
  readonly query: number;
  /** False for a learner of the key: its state does not count (P30). */
  readonly votes: boolean;
  readonly chosenIndex: number;
  /** Ballot at which chosenIndex was chosen; NO_BALLOT when this replica does not know it. */
  readonly chosenBallot: Ballot;
  /** Leader of chosenIndex + 1. */
  readonly leader: ReplicaId;
  /** Durably accepted at chosenIndex + 1; NO_BALLOT when nothing is. */
  readonly accepted: Ballot;
  /** The replica that proposed what is accepted; meaningless when nothing is. */
  readonly proposer: ReplicaId;
  /** The chosen entry, when it is small and newer than what the asker holds. */
  readonly entry: Entry | null;
}

/** Send me the chosen entry at or above `index`; answered by Learn, or not at all. */
export interface FetchMessage {
  readonly type: "fetch";
  readonly key: Key;
  readonly index: number;
  /** P30: the asker does not vote here, and nobody is at work on `index` any more: if it is undecided, settle it first. */
  readonly settle: boolean;
}

export type Message =
  | PrepareMessage
  | PromiseMessage
  | AcceptMessage
  | AcceptedMessage
  | BehindMessage
  | LearnMessage
  | ChosenMessage
  | SubmitMessage
  | SubmitRefusedMessage
  | ForwardMessage
  | ForwardReplyMessage
  | StateQueryMessage
  | StateReplyMessage
  | FetchMessage;
