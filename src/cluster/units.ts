/**
 * Text that people write for quantities and places, and what it means: sizes with units, host:port, identifiers.
 * Each parser answers a value or the sentence that says what is wrong and what to write instead.
 */
import type { Address } from "./server-config.js";

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

function bad<T>(problem: string): Parsed<T> {
  return { ok: false, problem };
}

/** How a wrong value is shown in a message: short, quoted, on one line. */
export function show(input: unknown): string {
  const text = typeof input === "object" && input !== null ? (Array.isArray(input) ? "a list" : "a map") : undefined;
  if (text !== undefined) return text;
  const json = JSON.stringify(input) ?? String(input);
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

/** Bytes from 4096, "4KiB", "1.5 GiB", "16M". Units of 1024: KiB MiB GiB TiB and K M G T; of 1000: KB MB GB TB. */
export function parseSize(input: unknown): Parsed<number> {
  const example = "write a number with a unit, such as 512MiB or 4GiB";
  if (typeof input === "number") return wholeBytes(input, input, example);
  if (typeof input !== "string") return bad(`${show(input)} is not a size; ${example}`);
  const match = /^\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)\s*$/.exec(input);
  const unit = match?.[2] === "" ? 1 : UNIT_BYTES[(match?.[2] ?? "?").toUpperCase()];
  if (match === null || unit === undefined) return bad(`${show(input)} is not a size; ${example}`);
  return wholeBytes(Math.round(Number(match[1]) * unit), input, example);
}

function wholeBytes(bytes: number, input: unknown, example: string): Parsed<number> {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return { ok: true, value: bytes };
  return bad(`${show(input)} is not a whole number of bytes in range; ${example}`);
}

/** The largest unit of 1024 in which the size reads well: 4GiB, 1.5GiB, 700B. */
export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const unitBytes = UNIT_BYTES[unit.toUpperCase()] ?? 1;
    if (bytes >= unitBytes) return `${String(Math.floor((bytes / unitBytes) * 10) / 10)}${unit}`;
  }
  return `${String(bytes)}B`;
}

/**
 * Hours of the day as bits: "0-23", "1-5" (01:00 to 05:59), "22-4" (over midnight), "1-3,13". The first hour and the last
 * one are both in.
 */
export function parseHours(input: unknown): Parsed<number> {
  const example = 'write the first and the last hour, such as "1-5" or "22-4"';
  const text = typeof input === "number" ? String(input) : input;
  if (typeof text !== "string" || !/^\d{1,2}(-\d{1,2})?(,\d{1,2}(-\d{1,2})?)*$/.test(text)) {
    return bad(`${show(input)} is no range of hours; ${example}`);
  }
  let hours = 0;
  for (const part of text.split(",")) {
    const [first = 24, last = first] = part.split("-").map(Number);
    if (first > 23 || last > 23) return bad(`${show(input)} names an hour above 23; ${example}`);
    for (let hour = first; ; hour = (hour + 1) % 24) {
      hours |= 1 << hour;
      if (hour === last) break;
    }
  }
  return { ok: true, value: hours };
}

/** "127.0.0.1:7001", "localhost:7001", "[::1]:7001". */
export function parseAddress(input: unknown): Parsed<Address> {
  const example = "write host:port, such as 127.0.0.1:7001 or [::1]:7001";
  if (typeof input !== "string") return bad(`${show(input)} is not an address; ${example}`);
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]{1,253})):(\d{1,5})$/.exec(input.trim());
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return bad(`${show(input)} is not an address; ${example}`);
  const port = Number(match[3]);
  if (port > 65535) return bad(`${show(input)} has a port above 65535; ${example}`);
  return { ok: true, value: { host, port } };
}

/** Names of clusters, nodes and zones: they end up in file names, handshakes and log lines. */
export function parseName(input: unknown): Parsed<string> {
  if (typeof input === "number" || typeof input === "boolean") {
    return bad(`${show(input)} is not text; put it in quotes: "${String(input)}"`);
  }
  if (typeof input === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(input)) return { ok: true, value: input };
  return bad(
    `${show(input)} is not a name; use 1 to 63 letters, digits, dots, dashes or underscores, the first a letter or digit`,
  );
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The nearest of `known` within two edits, for "did you mean". */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}
