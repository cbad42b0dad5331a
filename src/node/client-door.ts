/**
 * Where clients come in: each request gets its deadline and the name of who waits, or is refused at once. Every one is
 * answered exactly once, after the call that brought it.
 */
import type { Key } from "../base/key.js";
import type { Context } from "../paxos/context.js";
import type { Operation, ReadOutcome, RefuseCode, WriteOutcome } from "../paxos/operation.js";
import type { ClientTable } from "./clients.js";
import type { Clock } from "./clock.js";
import type { Lateness } from "./lateness.js";
import { NOBODY, type ReplySink } from "./service.js";
import type { Counters } from "./stats.js";
import type { TurnLoop } from "./turn.js";

/** Why nothing can be asked of this node now. */
export interface Refusal {
  readonly code: RefuseCode;
  readonly message: string;
}

interface DoorParts {
  readonly clock: Clock;
  readonly context: Context;
  readonly turns: TurnLoop;
  readonly clients: ClientTable;
  readonly counters: Counters;
  /** A request is decided, or answered with an error, within this time. */
  readonly requestTicks: number;
  readonly lateness: Lateness;
}

export type NodeState = "loading" | "waiting" | "serving" | "failed" | "closed";

/** Why nothing can be asked of a node in this state. `forgot`: why it may not trust its disk, empty when it may (P29). */
export function refusalOf(
  state: Exclude<NodeState, "serving">,
  forgot: string,
  links: { waitingFor(): readonly string[] },
  failure: string,
): Refusal {
  if (state === "loading") return { code: "LOADING", message: "the node is recovering" };
  if (state === "failed" || state === "closed") return { code: "FAILED", message: failure };
  const why = forgot === "" ? "has never voted" : `may not trust its disk (${forgot})`;
  return {
    code: "LOADING",
    message: `the node ${why} and waits once for all others: ${links.waitingFor().join(", ")}`,
  };
}

const FULL: Refusal = { code: "BUSY", message: "too many requests are in flight at this node" };

export class ClientDoor {
  readonly #parts: DoorParts;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  write(key: Key, operation: Operation, sink: ReplySink, tag: number, closed: Refusal | null): void {
    const { clock, context, turns, clients, counters, lateness, requestTicks } = this.#parts;
    counters.writes++;
    const tick = clock.tick();
    const lateTicks = lateness.at(tick);
    const refused = closed ?? (clients.isFull ? FULL : null) ?? this.#tooLate(lateTicks);
    if (refused !== null) {
      const outcome: WriteOutcome = { status: "not-applied", ...refused };
      turns.afterTurn(() => {
        sink.onWrite(tag, outcome);
      });
      return;
    }
    context.lastRequest++;
    turns.enqueue(key, {
      type: "write",
      client: clients.add(sink, tag, true),
      request: { replica: context.self, incarnation: context.incarnation, counter: context.lastRequest },
      operation,
      deadlineTick: tick + requestTicks - lateTicks,
    });
  }

  read(key: Key, sink: ReplySink, tag: number, closed: Refusal | null): void {
    const { turns, clients, counters } = this.#parts;
    counters.reads++;
    const refused = closed ?? (clients.isFull ? FULL : null);
    if (refused !== null) {
      const outcome: ReadOutcome = { status: "refused", ...refused };
      turns.afterTurn(() => {
        sink.onRead(tag, outcome);
      });
      return;
    }
    const client = clients.add(sink, tag, false);
    turns.enqueue(key, { type: "read", client, deadlineTick: this.#deadlineTick() });
  }

  /** P27: reads for nobody, so that the key gets a lane that looks after what is undecided. */
  look(key: Key): void {
    const { turns, clients } = this.#parts;
    if (clients.isFull) return;
    const client = clients.add(NOBODY, 0, false);
    turns.enqueue(key, { type: "read", client, deadlineTick: this.#deadlineTick() });
  }

  /** Requests of clients that are not answered yet. */
  get inFlight(): number {
    return this.#parts.clients.waiting;
  }

  /** P12: a write whose time is over is not begun. It may have been sent just now, so who sent it is told the truth. */
  #tooLate(lateTicks: number): Refusal | null {
    if (lateTicks < this.#parts.requestTicks) return null;
    const message = `this node stood still for ${String(lateTicks)} ms: the write may be that old and was not begun`;
    return { code: "BUSY", message };
  }

  #deadlineTick(): number {
    return this.#parts.clock.tick() + this.#parts.requestTicks;
  }

  /** The node serves no more. Who waits for a write is told the truth: nobody knows. */
  drain(why: string): void {
    const unknown: WriteOutcome = { status: "unknown", message: `${why}; the write may have been applied` };
    const refused: ReadOutcome = { status: "refused", code: "FAILED", message: why };
    this.#parts.clients.drain((sink, tag, isWrite) => {
      if (isWrite) sink.onWrite(tag, unknown);
      else sink.onRead(tag, refused);
    });
  }
}
