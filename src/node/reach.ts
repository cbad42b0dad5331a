/**
 * Which nodes of a cluster of several groups are there, as far as this one can tell: those that a replica of it is connected
 * with, and those that such a node says it reaches. For advice to clients; nothing is decided by it.
 */
import type { ReplicaId } from "../paxos/ballot.js";

/** Bits of a mask that a heartbeat carries. */
export const MAX_REACHED = 48;

/** A replica, as far as this is concerned. */
export interface Reaching {
  readonly nodeIds: readonly string[];
  reaches(peer: ReplicaId): boolean;
}

export class Reach {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #self: number;
  readonly #replicas: Reaching[] = [];
  /** What each node said last, by its number. */
  readonly #told: number[];

  /** `nodeIds`: of the whole cluster. */
  constructor(nodeIds: readonly string[], self: string) {
    this.#numbers = new Map(nodeIds.map((id, number) => [id, number]));
    this.#self = this.#numbers.get(self) ?? -1;
    this.#told = nodeIds.map(() => 0);
  }

  add(replica: Reaching): void {
    this.#replicas.push(replica);
  }

  /** The own mask: this node, and all that it is connected with. */
  mask(): number {
    let mask = bit(this.#self);
    for (const number of this.#direct()) if (!has(mask, number)) mask += bit(number);
    return mask;
  }

  /** A node that is connected tells whom it reaches. */
  note(nodeId: string, mask: number): void {
    const number = this.#numbers.get(nodeId);
    if (number !== undefined) this.#told[number] = mask;
  }

  has(nodeId: string): boolean {
    const wanted = this.#numbers.get(nodeId);
    if (wanted === undefined) return false;
    if (wanted === this.#self) return true;
    const direct = this.#direct();
    const isNeighbour = this.#replicas.some(({ nodeIds }) => nodeIds.includes(nodeId));
    if (isNeighbour) return direct.has(wanted);
    return [...direct].some((number) => has(this.#told[number] ?? 0, wanted));
  }

  #direct(): Set<number> {
    const direct = new Set<number>();
    for (const replica of this.#replicas) {
      for (const [peer, nodeId] of replica.nodeIds.entries()) {
        const number = this.#numbers.get(nodeId);
        if (number !== undefined && replica.reaches(peer)) direct.add(number);
      }
    }
    return direct;
  }
}

/** Beyond 32 bits, so by arithmetic. */
function bit(number: number): number {
  return number < 0 || number >= MAX_REACHED ? 0 : 2 ** number;
}

function has(mask: number, number: number): boolean {
  return Math.floor(mask / 2 ** number) % 2 === 1;
}
