/** PLOG: asking every replica for its state of one key, for people to look at. Outside of the lanes, because nobody acts on it. */
import type { Key } from "../base/key.js";
import type { ReplicaId } from "../paxos/ballot.js";
import { NO_BALLOT } from "../paxos/ballot.js";
import type { Context } from "../paxos/context.js";
import type { Message, StateReplyMessage } from "../paxos/message.js";
import type { Clock } from "./clock.js";
import type { TurnLoop } from "./turn.js";
import type { PLogView } from "./service.js";

/** How long to wait for replicas that do not answer. */
const PATIENCE_TICKS = 500;

interface Inspection {
  readonly views: (PLogView | null)[];
  readonly untilTick: number;
  readonly done: (views: readonly PLogView[]) => void;
}

export class Inspections {
  readonly #context: Context;
  readonly #clock: Clock;
  readonly #nodeIds: readonly string[];
  readonly #open = new Map<number, Inspection>();

  constructor(context: Context, clock: Clock, nodeIds: readonly string[]) {
    this.#context = context;
    this.#clock = clock;
    this.#nodeIds = nodeIds;
  }

  /** Asks every replica, the own one included; of a node that is over nobody answers. */
  ask(key: Key, turns: TurnLoop, isOver: boolean, done: Inspection["done"]): void {
    const query = ++this.#context.lastQuery;
    const views = this.#nodeIds.map(() => null);
    this.#open.set(query, { views, untilTick: this.#clock.tick() + PATIENCE_TICKS, done });
    if (isOver) {
      turns.afterTurn(() => {
        this.endAll();
      });
      return;
    }
    const message: Message = { type: "state-query", key, query, knownIndex: Number.MAX_SAFE_INTEGER };
    for (let to = 0; to < this.#context.replicas; to++) turns.send(to, message);
  }

  /** True when the answer belongs to an inspection. */
  onReply(from: ReplicaId, message: StateReplyMessage): boolean {
    const inspection = this.#open.get(message.query);
    if (inspection === undefined) return false;
    const { votes, chosenIndex, leader, accepted } = message;
    const nodeId = this.#nodeIds[from] ?? "";
    inspection.views[from] = { replica: from, nodeId, answered: true, votes, chosenIndex, leader, accepted };
    if (inspection.views.every((view) => view !== null)) this.#end(message.query, inspection);
    return true;
  }

  /** Ends what has waited long enough: who did not answer is shown as such. */
  expire(tick: number): void {
    for (const [query, inspection] of this.#open) if (tick >= inspection.untilTick) this.#end(query, inspection);
  }

  /** The node stops: nobody else will answer. */
  endAll(): void {
    this.expire(Number.POSITIVE_INFINITY);
  }

  #end(query: number, inspection: Inspection): void {
    this.#open.delete(query);
    inspection.done(inspection.views.map((view, replica) => view ?? silent(replica, this.#nodeIds[replica] ?? "")));
  }
}

function silent(replica: ReplicaId, nodeId: string): PLogView {
  return { replica, nodeId, answered: false, votes: false, chosenIndex: 0, leader: 0, accepted: NO_BALLOT };
}
