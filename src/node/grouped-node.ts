/**
 * A node in several groups: one replica of each, over one store and one port, behind one service. A key is the affair of
 * its group's replica; what no group of this node holds is refused with ELSEWHERE.
 */
import type { Key } from "../base/key.js";
import type { Operation } from "../paxos/operation.js";
import { keyInSpace } from "../storage/space.js";
import type { Store } from "../storage/store.js";
import type { Clock } from "./clock.js";
import { countLiveKeys, scanLiveKeys } from "./key-scan.js";
import { mergeFindings, mergeStats } from "./merge-stats.js";
import type { Reach } from "./reach.js";
import type { ReplicaNode } from "./replica-node.js";
import type { ChangeListener, GroupStats, KeyService, NodeStats, PLogView, ReplySink } from "./service.js";
import type { PassFindings } from "./sweep/findings.js";

/** Which group holds a key. */
export interface KeyPlaces {
  /** Number of the group. */
  groupOf(key: Key): number;
  /** Who are its members, for people. */
  membersOf(group: number): readonly string[];
}

export interface GroupedParts {
  /** By number of the group. */
  readonly replicas: ReadonlyMap<number, ReplicaNode>;
  /** Of all groups. */
  readonly store: Store;
  readonly places: KeyPlaces;
  /** Of the whole cluster. */
  readonly nodeIds: readonly string[];
  readonly reach: Reach;
  readonly clock: Clock;
}

export class GroupedNode implements KeyService {
  readonly #parts: GroupedParts;
  readonly #all: readonly (readonly [group: number, replica: ReplicaNode])[];

  constructor(parts: GroupedParts) {
    this.#parts = parts;
    this.#all = [...parts.replicas];
  }

  write(key: Key, operation: Operation, sink: ReplySink, tag: number): void {
    const group = this.#parts.places.groupOf(key);
    const replica = this.#parts.replicas.get(group);
    if (replica !== undefined) {
      replica.write(key, operation, sink, tag);
      return;
    }
    this.#parts.clock.defer(() => {
      sink.onWrite(tag, { status: "not-applied", code: "ELSEWHERE", message: this.#whoHolds(group) });
    });
  }

  read(key: Key, sink: ReplySink, tag: number): void {
    const group = this.#parts.places.groupOf(key);
    const replica = this.#parts.replicas.get(group);
    if (replica !== undefined) {
      replica.read(key, sink, tag);
      return;
    }
    this.#parts.clock.defer(() => {
      sink.onRead(tag, { status: "refused", code: "ELSEWHERE", message: this.#whoHolds(group) });
    });
  }

  #whoHolds(group: number): string {
    return `the key is held by ${this.#parts.places.membersOf(group).join(", ")}`;
  }

  /** Of a key that is held elsewhere nothing is known here. */
  inspect(key: Key, done: (views: readonly PLogView[]) => void): void {
    const replica = this.#parts.replicas.get(this.#parts.places.groupOf(key));
    if (replica !== undefined) replica.inspect(key, done);
    else {
      this.#parts.clock.defer(() => {
        done([]);
      });
    }
  }

  stats(): NodeStats {
    return mergeStats(
      this.#all.map(([, replica]) => replica.stats()),
      this.#parts.nodeIds,
    );
  }

  groupStats(): readonly GroupStats[] {
    return this.#all.map(([group, replica]) => ({ group, stats: replica.stats() }));
  }

  listen(listener: ChangeListener | null): void {
    for (const [, replica] of this.#all) replica.listen(listener);
  }

  hears(nodeId: string): boolean {
    return this.#parts.reach.has(nodeId);
  }

  setLearner(on: boolean, done: () => void): void {
    let left = this.#all.length;
    for (const [, replica] of this.#all) {
      replica.setLearner(on, () => {
        if (--left === 0) done();
      });
    }
  }

  verifyNow(done: (found: Readonly<PassFindings>) => void): void {
    const all: Readonly<PassFindings>[] = [];
    for (const [, replica] of this.#all) {
      replica.verifyNow((found) => {
        all.push(found);
        if (all.length === this.#all.length) done(mergeFindings(all));
      });
    }
  }

  acceptLoss(): boolean {
    return this.#all.filter(([, replica]) => replica.acceptLoss()).length > 0;
  }

  countKeys(): number {
    return countLiveKeys(this.#parts.store);
  }

  /** Over all groups in one walk of the store. */
  scanKeys(cursor: bigint, limit: number, visit: (key: Key) => void): bigint {
    const { store, replicas } = this.#parts;
    if (![...replicas.values()].some((replica) => replica.isServing)) return 0n;
    return scanLiveKeys(store, cursor, limit, visit, keyInSpace);
  }

  /** May be called again. */
  close(done: () => void): void {
    closeAll(
      this.#all.map(([, replica]) => replica),
      done,
    );
  }
}

export function closeAll(all: readonly { close(done: () => void): void }[], done: () => void): void {
  let left = all.length;
  if (left === 0) done();
  for (const one of all) {
    one.close(() => {
      if (--left === 0) done();
    });
  }
}
