/**
 * One replica as its clients know it: an address that stays while processes come and go behind it. What is asked while
 * nothing serves there is refused, what was under way when the process died is unknown; every outcome comes later, never
 * during the call, as from a node.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import type { ChangeListener, GroupStats, KeyService, NodeStats, PLogView, ReplySink } from "../node/service.js";
import type { PassFindings } from "../node/sweep/findings.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../paxos/operation.js";
import { nameOf, type SimulatedCluster } from "./cluster.js";

interface Call {
  /** The connection was lost: what the client can say of its call. */
  lost(): void;
}

export class LastingService implements KeyService {
  readonly #cluster: SimulatedCluster;
  readonly #replica: ReplicaId;
  /** Told after every outcome and every answer: whoever waits may go on. */
  readonly #onAnswer: () => void;
  readonly #underWay = new Set<Call>();
  #lastStats: NodeStats | null = null;

  constructor(cluster: SimulatedCluster, replica: ReplicaId, onAnswer: () => void) {
    this.#cluster = cluster;
    this.#replica = replica;
    this.#onAnswer = onAnswer;
  }

  write(key: Key, operation: Operation, sink: ReplySink, tag: number): void {
    const end = (outcome: WriteOutcome): void => {
      if (!this.#underWay.delete(call)) return;
      sink.onWrite(tag, outcome);
      this.#onAnswer();
    };
    const name = nameOf(this.#replica);
    const call = {
      lost: () => {
        end({ status: "unknown", message: `${name} died before it answered` });
      },
    };
    this.#underWay.add(call);
    if (this.#cluster.write(this.#replica, key, operation, end)) return;
    this.#cluster.time.after(0, () => {
      end({ status: "not-applied", code: "LOADING", message: `${name} does not serve` });
    });
  }

  read(key: Key, sink: ReplySink, tag: number): void {
    const end = (outcome: ReadOutcome): void => {
      if (!this.#underWay.delete(call)) return;
      sink.onRead(tag, outcome);
      this.#onAnswer();
    };
    const refused = (why: string): void => {
      end({ status: "refused", code: "LOADING", message: `${nameOf(this.#replica)} ${why}` });
    };
    const call = {
      lost: () => {
        refused("died before it answered");
      },
    };
    this.#underWay.add(call);
    if (this.#cluster.read(this.#replica, key, end)) return;
    this.#cluster.time.after(0, () => {
      refused("does not serve");
    });
  }

  setLearner(on: boolean, done: () => void): void {
    this.#cluster.opened(this.#replica)?.setLearner(on, () => {
      done();
      this.#onAnswer();
    });
  }

  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    this.#cluster.opened(this.#replica)?.verifyNow((found) => {
      done(found);
      this.#onAnswer();
    });
  }

  acceptLoss(): boolean {
    return this.#cluster.opened(this.#replica)?.acceptLoss() ?? false;
  }

  inspect(key: Key, done: (views: readonly PLogView[]) => void): void {
    const answer = (views: readonly PLogView[]): void => {
      if (!this.#underWay.delete(call)) return;
      done(views);
      this.#onAnswer();
    };
    const call = {
      lost: () => {
        answer([]);
      },
    };
    this.#underWay.add(call);
    const node = this.#cluster.node(this.#replica);
    if (node === null) this.#cluster.time.after(0, call.lost);
    else node.inspect(key, answer);
  }

  /** Of a process that is gone: as they were when they were asked for last. */
  stats(): NodeStats {
    this.#lastStats = this.#cluster.opened(this.#replica)?.stats() ?? this.#lastStats;
    assert(this.#lastStats !== null, "a replica that was started has figures");
    return this.#lastStats;
  }

  groupStats(): readonly GroupStats[] {
    return [{ group: 0, stats: this.stats() }];
  }

  /** Of the present process behind the address. */
  listen(listener: ChangeListener | null): void {
    this.#cluster.opened(this.#replica)?.listen(listener);
  }

  hears(nodeId: string): boolean {
    return this.#cluster.opened(this.#replica)?.hears(nodeId) ?? false;
  }

  countKeys(): number {
    return this.#cluster.node(this.#replica)?.countKeys() ?? 0;
  }

  scanKeys(cursor: bigint, limit: number, visit: (key: Key) => void): bigint {
    return this.#cluster.node(this.#replica)?.scanKeys(cursor, limit, visit) ?? 0n;
  }

  /** The process behind the address died. */
  lose(): void {
    for (const call of [...this.#underWay]) call.lost();
  }
}
