/**
 * What a step asks its host to do. Durability order is data (P2): a message in `sendWhenDurable` may leave only when
 * every record that this lane asked to persist so far, this step's included, is durable. A host that has none of them
 * outstanding sends it at once. Messages to the own replica come back as inputs. One object, reused for every step.
 */
import type { Ballot, ReplicaId } from "./ballot.js";
import type { Entry } from "./entry.js";
import type { Message } from "./message.js";
import type { ReadOutcome, WriteOutcome } from "./operation.js";

/** One record of the PLog: the state of one position. Position and floor as in disk-format.md D5. */
export interface RecordWrite {
  readonly index: number;
  /** Lowest position still needed: index - 1 for an undecided position, index for a chosen one. */
  readonly floor: number;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  /** The accepted or chosen entry; null for a bare promise. */
  readonly entry: Entry | null;
  /** The replica that proposed the accepted entry. */
  readonly proposer: ReplicaId;
  /** True when this record itself says that the entry was chosen. */
  readonly chosen: boolean;
  /** Hash of the chosen entry at index - 1; 0 when index is 1 or the base is not held (chosen records). */
  readonly baseHash: number;
  /** P30: the writer was a learner for this key and stays one after a restart. */
  readonly learner: boolean;
  /** P31, as in PLog. */
  readonly votesFrom: number;
  readonly loss: number;
  /** What the key counts as for DBSIZE: from the newest chosen or accepted entry; false of keys that no client wrote. */
  readonly live: boolean;
}

export interface Envelope {
  readonly to: ReplicaId;
  readonly message: Message;
}

export interface WriteReply {
  readonly client: number;
  readonly outcome: WriteOutcome;
}

export interface ReadReply {
  readonly client: number;
  readonly outcome: ReadOutcome;
}

/** The lane's earlier wish to be woken stands. */
export const SAME_WAKE = -1;

export class Effects {
  /** Records to make durable, all in one batch (one run). */
  readonly persist: RecordWrite[] = [];
  /** P30: what the disk holds of this key is broken: it is erased by the batch that brings these records. */
  erase = false;
  /** P13: index that is now known as chosen and whose record on disk holds the entry; in memory only, never flushed. 0 = none. */
  mark = 0;
  readonly send: Envelope[] = [];
  readonly sendWhenDurable: Envelope[] = [];
  readonly writeReplies: WriteReply[] = [];
  readonly readReplies: ReadReply[] = [];
  /** Step the lane with a tick not later than this one; 0 = no wish. Replaces the lane's earlier wish, but for SAME_WAKE. */
  wakeAtTick = SAME_WAKE;
  /** P31: from now on this replica votes for the key again. */
  restored = false;
  /** P6: text of an alarm; the lane has stopped. */
  alarm: string | null = null;

  clear(): void {
    this.persist.length = 0;
    this.erase = false;
    this.mark = 0;
    this.send.length = 0;
    this.sendWhenDurable.length = 0;
    this.writeReplies.length = 0;
    this.readReplies.length = 0;
    this.wakeAtTick = SAME_WAKE;
    this.restored = false;
    this.alarm = null;
  }
}
