/**
 * What happened in a simulated run, as one running hash: same seed, same code, same hash. Events are a few numbers, mixed
 * in as they come, so that a trace costs next to nothing. Text is made only for a trace that was asked to keep a story.
 */
import { hashBytes } from "../base/hash.js";

/** What an event is. Part of the hash: append only. */
export const EVENTS = [
  "send",
  "deliver",
  "lose",
  "connect",
  "disconnect",
  "persist",
  "durable",
  "store-failed",
  "damaged",
  "start",
  "kill",
  "chosen",
  "call",
  "answer",
  "fault",
] as const;
export type TraceEvent = (typeof EVENTS)[number];

const NUMBERS: ReadonlyMap<TraceEvent, number> = new Map(EVENTS.map((event, number) => [event, number]));
/** A story keeps its newest lines. */
const MAX_LINES = 20_000;

export class Trace {
  #a = 0x12345678;
  #b = 0x9abcdef0;
  events = 0;
  readonly #nowUs: () => number;
  readonly #lines: string[] | null;

  constructor(nowUs: () => number, withStory: boolean) {
    this.#nowUs = nowUs;
    this.#lines = withStory ? [] : null;
  }

  /** True when text is wanted: then `tell` keeps it, and making it is worth while. */
  get hasStory(): boolean {
    return this.#lines !== null;
  }

  note(event: TraceEvent, who: number, what: number, more = 0): void {
    this.events++;
    this.#mix(((NUMBERS.get(event) ?? 0) << 8) ^ who);
    this.#mix(this.#nowUs());
    this.#mix(what);
    this.#mix(more);
  }

  /** The event with all its bytes. */
  noteBytes(event: TraceEvent, who: number, bytes: Uint8Array): void {
    const hash = hashBytes(bytes);
    this.note(event, who, hash >>> 0, Math.floor(hash / 0x1_0000_0000));
  }

  tell(line: string): void {
    if (this.#lines === null) return;
    if (this.#lines.length >= MAX_LINES) this.#lines.shift();
    this.#lines.push(`${(this.#nowUs() / 1000).toFixed(3).padStart(10)} ${line}`);
  }

  story(): readonly string[] {
    return this.#lines ?? [];
  }

  /** 16 hex digits. */
  hash(): string {
    return hex(this.#a) + hex(this.#b);
  }

  #mix(value: number): void {
    const low = value | 0;
    const high = (value / 0x1_0000_0000) | 0;
    this.#a = Math.imul(this.#a ^ low ^ Math.imul(high, 0x27d4eb2f), 0x9e3779b1);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul(this.#b + low, 0x85ebca77) ^ this.#a;
    this.#b = (this.#b << 13) | (this.#b >>> 19);
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
