/**
 * SLOWLOG: the latest commands whose answers took long, a bounded number of them. Commands are told by name and keys;
 * values are never kept.
 */
import { clientBytes } from "../base/key.js";
import type { Client } from "./client.js";
import type { Command } from "./command-table.js";
import type { Slot } from "./slot.js";

export interface SlowEntry {
  readonly id: number;
  readonly atSeconds: number;
  readonly durationUs: number;
  readonly words: readonly string[];
  readonly address: string;
  readonly clientName: string;
}

/** More than this is kept for nobody, whatever CONFIG SET says. */
export const MAX_SLOW_ENTRIES = 4096;
const SHOWN_KEYS = 8;
const SHOWN_CHARACTERS = 128;
const SHOWN_NAME = 64;

export class SlowLog {
  /** Newest first. */
  readonly entries: SlowEntry[] = [];
  #nextId = 0;

  add(entry: Omit<SlowEntry, "id">, most: number): void {
    this.entries.unshift({ id: this.#nextId++, ...entry });
    this.trim(most);
  }

  trim(most: number): void {
    this.entries.length = Math.min(this.entries.length, most, MAX_SLOW_ENTRIES);
  }
}

/** A reply of `client` took long. */
export function noteSlow(client: Client, slot: Slot, command: Command, durationUs: number): void {
  const { settings, slowLog, latencyEvents } = client.context;
  const atSeconds = Math.floor(Date.now() / 1000);
  const { latencyThresholdMs } = settings;
  const durationMs = Math.floor(durationUs / 1000);
  if (latencyThresholdMs > 0 && durationMs >= latencyThresholdMs) latencyEvents.add("command", atSeconds, durationMs);
  if (settings.slowLogEntries === 0 || command.spec.flags.includes("skip_slowlog")) return;
  const { remoteAddress, name } = client;
  const words = [...command.spec.name.split("|"), ...keyWords(slot)];
  slowLog.add(
    { atSeconds, durationUs, words, address: remoteAddress, clientName: copyOf(name.slice(0, SHOWN_NAME)) },
    settings.slowLogEntries,
  );
}

/** A string of its own: a slice would keep all of the string, perhaps all of a large key, that it was cut from. */
function copyOf(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function keyWords(slot: Slot): readonly string[] {
  const keys = slot.many?.keys ?? (slot.key === null ? [] : [slot.key]);
  const words = keys.slice(0, SHOWN_KEYS).map((key) => {
    const text = clientBytes(key);
    const more = text.length - SHOWN_CHARACTERS;
    return copyOf(more > 0 ? `${text.slice(0, SHOWN_CHARACTERS)}... (${String(more)} more bytes)` : text);
  });
  const more = keys.length - words.length;
  return more > 0 ? [...words, `... (${String(more)} more keys)`] : words;
}
