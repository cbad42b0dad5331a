/**
 * Who waits for an answer. The core names a waiting client by a number; this table keeps whom to tell. Slots are used
 * again, so that an operation costs no allocation here.
 */
import { assert } from "../base/assert.js";
import type { ReplySink } from "./service.js";

/** Most operations of clients in flight at one node; one more is refused with BUSY. */
export const MAX_CLIENT_OPERATIONS = 65_536;

export class ClientTable {
  readonly #sinks: (ReplySink | null)[] = [];
  readonly #tags: number[] = [];
  readonly #isWrite: boolean[] = [];
  readonly #free: number[] = [];

  /** Operations that wait for their answer. */
  get waiting(): number {
    return this.#sinks.length - this.#free.length;
  }

  get isFull(): boolean {
    return this.waiting >= MAX_CLIENT_OPERATIONS;
  }

  add(sink: ReplySink, tag: number, isWrite: boolean): number {
    const client = this.#free.pop() ?? this.#sinks.length;
    this.#sinks[client] = sink;
    this.#tags[client] = tag;
    this.#isWrite[client] = isWrite;
    return client;
  }

  tagOf(client: number): number {
    return this.#tags[client] ?? 0;
  }

  /** The one to tell; its slot is free from now on. */
  take(client: number): ReplySink {
    const sink = this.#sinks[client];
    assert(sink !== null && sink !== undefined, "an operation is answered once");
    this.#sinks[client] = null;
    this.#free.push(client);
    return sink;
  }

  /** Calls `tell` for everybody who still waits, and forgets them. */
  drain(tell: (sink: ReplySink, tag: number, isWrite: boolean) => void): void {
    for (let client = 0; client < this.#sinks.length; client++) {
      const sink = this.#sinks[client];
      if (sink === null || sink === undefined) continue;
      this.#sinks[client] = null;
      this.#free.push(client);
      tell(sink, this.tagOf(client), this.#isWrite[client] ?? false);
    }
  }
}
