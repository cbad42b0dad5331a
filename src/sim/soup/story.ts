/**
 * A small language for directed tests: a story is a world of real cores in which nothing happens but what the test says.
 * Every message, record and answer becomes a line, in order; lost messages are struck out. The oracle watches stories too.
 */
import type { Key } from "../../base/key.js";
import type { Lane } from "../../paxos/lane.js";
import type { Message } from "../../paxos/message.js";
import type { Condition, Operation } from "../../paxos/operation.js";
import type { Input } from "../../paxos/replica.js";
import { keyLedBy } from "./keys.js";
import { type ClientOperation, Oracle } from "./oracle.js";
import { renderMessage, renderOperation, renderRead, renderRecord, renderWrite } from "./render.js";
import { bytes } from "./value-model.js";
import { type Flight, type Observer, type Replica, type Tamper, World } from "./world.js";

export const PATIENCE = 10;
export const SETTLE = 200;
/** World.ts: what replicas with no skew see as wall clock at tick 0. */
export const WALL = 1_000_000;

export function set(value: string, extra: { expiryMs?: number; condition?: Condition } = {}): Operation {
  const { expiryMs = 0, condition = { kind: "none" } } = extra;
  return { kind: "set", value: bytes(value), expiryMs, condition, returnOld: false };
}

type Which = (message: Message, flight: Flight) => boolean;

export class Story {
  readonly world: World;
  readonly oracle: Oracle;
  readonly key: Key;
  readonly lines: string[] = [];
  /** Answers by client number, rendered. */
  readonly answers = new Map<number, string>();
  #nextClient = 1;
  /** Message types that left a replica for another one, and records made durable, since the last `count()`. */
  #messages = new Map<string, number>();
  #records = 0;

  constructor(replicas = 3, leader = 0, tamper: Tamper = {}) {
    this.oracle = new Oracle(replicas);
    this.key = keyLedBy(leader, replicas);
    this.world = new World({
      replicas,
      seed: 7,
      patienceTicks: PATIENCE,
      settleTicks: SETTLE,
      observer: this.#observer(),
      tamper,
    });
    this.oracle.tickOf = () => this.world.tick;
  }

  #observer(): Observer {
    const { oracle, lines } = this;
    return {
      onStep: (replica, lane, input, effects) => {
        oracle.onStep(replica, lane, input, effects);
      },
      onLeave: (replica, lane, envelope) => {
        if (envelope.to !== replica.id) {
          const { message } = envelope;
          lines.push(`${String(replica.id)} -> ${String(envelope.to)}: ${renderMessage(message)}`);
          this.#messages.set(message.type, (this.#messages.get(message.type) ?? 0) + 1);
        }
        oracle.onLeave(replica, lane, envelope);
      },
      onDurable: (replica, batch) => {
        for (const write of batch.writes) lines.push(`${String(replica.id)} disk: ${renderRecord(write)}`);
        this.#records += batch.writes.length;
        oracle.onDurable(replica, batch);
      },
      onCrash: (replica) => {
        lines.push(`${String(replica.id)} restarts`);
        oracle.onCrash(replica);
      },
      onWriteReply: (replica, key, client, outcome) => {
        this.#answer(client, renderWrite(outcome));
        oracle.onWriteReply(replica, key, client, outcome);
      },
      onReadReply: (replica, key, client, outcome) => {
        this.#answer(client, renderRead(outcome));
        oracle.onReadReply(replica, key, client, outcome);
      },
    };
  }

  #answer(client: number, text: string): void {
    this.lines.push(`client ${String(client)}: ${text}`);
    this.answers.set(client, text);
  }

  replica(id: number): Replica {
    return this.world.replica(id);
  }

  lane(id: number): Lane {
    return this.world.laneOf(this.replica(id), this.key);
  }

  /** Client operations of one turn at one replica; null = read. Returns the first one's number. */
  ask(id: number, ...operations: (Operation | null)[]): number {
    return this.askFor(id, 1000, ...operations);
  }

  askFor(id: number, ticks: number, ...operations: (Operation | null)[]): number {
    const first = this.#nextClient;
    const inputs = operations.map((operation) => this.#input(this.replica(id), operation, ticks));
    this.world.input(this.replica(id), this.key, ...inputs);
    return first;
  }

  #input(replica: Replica, operation: Operation | null, ticks: number): Input {
    const client = this.#nextClient++;
    const { context } = replica;
    const deadlineTick = this.world.tick + ticks;
    if (operation !== null) context.lastRequest++;
    const request = { replica: replica.id, incarnation: context.incarnation, counter: context.lastRequest };
    const told: ClientOperation = {
      client,
      key: this.key,
      replica: replica.id,
      operation,
      request,
      deadlineTick,
      invokedTick: this.world.tick,
      low: this.oracle.factsOf(this.key).acked,
      status: "running",
    };
    this.oracle.begin(told);
    this.lines.push(`client ${String(client)} at ${String(replica.id)}: ${renderOperation(operation)}`);
    if (operation === null) return { type: "read", client, deadlineTick };
    return { type: "write", client, request, operation, deadlineTick };
  }

  /** Everything arrives in the order it was sent and every disk flushes, until nothing moves; time stands still. */
  run(): this {
    for (let i = 0; i < 10_000; i++) {
      const flight = this.world.wire.shift();
      if (flight !== undefined) this.world.deliver(flight);
      else if (!this.flush()) return this;
    }
    throw new Error("the story does not end: messages go round in a loop");
  }

  flush(id?: number): boolean {
    let some = false;
    for (const replica of this.world.replicas) {
      if ((id !== undefined && replica.id !== id) || replica.queue.length === 0) continue;
      this.world.flush(replica);
      some = true;
    }
    return some;
  }

  /** Delivers the messages on the wire that fit, once each; not what they cause. */
  deliver(which: Which): number {
    const fits = this.world.wire.filter((flight) => which(flight.message, flight));
    this.world.wire = this.world.wire.filter((flight) => !fits.includes(flight));
    for (const flight of fits) this.world.deliver(flight);
    return fits.length;
  }

  /** Takes messages off the wire, to be delivered later or never. */
  take(which: Which): Flight[] {
    const fits = this.world.wire.filter((flight) => which(flight.message, flight));
    this.world.wire = this.world.wire.filter((flight) => !fits.includes(flight));
    return fits;
  }

  lose(which: Which): number {
    const lost = this.take(which);
    for (const { from, to, message } of lost)
      this.lines.push(`${String(from)} -x ${String(to)}: ${renderMessage(message)}`);
    return lost.length;
  }

  /** Time passes, everything runs; messages from or to `cut` are lost. */
  pass(ticks: number, cut: readonly number[] = []): this {
    for (let i = 0; i < ticks; i++) {
      this.world.passTick();
      this.settle(cut);
    }
    return this;
  }

  /** Like run, but messages from or to `cut` are lost. */
  settle(cut: readonly number[]): this {
    for (let i = 0; i < 10_000; i++) {
      this.world.wire = this.world.wire.filter(({ from, to }) => !cut.includes(from) && !cut.includes(to));
      const flight = this.world.wire.shift();
      if (flight !== undefined) this.world.deliver(flight);
      else if (!this.flush()) return this;
    }
    throw new Error("the story does not end: messages go round in a loop");
  }

  crash(id: number, flushed = 0): this {
    this.world.crash(this.replica(id), flushed, false);
    this.world.introduce(this.replica(id));
    return this;
  }

  suspect(id: number): this {
    for (const replica of this.world.replicas) this.world.setSuspected(replica, id, true);
    return this;
  }

  /** Messages by type and records since the last call. */
  count(): { messages: Record<string, number>; records: number } {
    const counted = { messages: Object.fromEntries(this.#messages), records: this.#records };
    this.#messages = new Map();
    this.#records = 0;
    return counted;
  }

  /** The lines since the last call. */
  tell(): string {
    return this.lines.splice(0).join("\n");
  }
}
