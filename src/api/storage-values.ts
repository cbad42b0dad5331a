/**
 * Keys, values and records as users of the storage API give and get them, and their way to and from the engine's. Checks
 * what a caller can do wrong, and throws a TypeError or RangeError for it.
 */
import { type Key, rawKey } from "../base/key.js";
import { HEADER_BYTES, type SlotView } from "../storage/store.js";
import { StoreError } from "./storage-errors.js";

/** Text is taken as UTF-8. */
export type Bytes = string | Uint8Array;

/** 1 to this many bytes. */
export const MAX_KEY_BYTES = 65_535;
/** The header of a record: at most this long, zeros behind a shorter one. */
export const MAX_HEADER_BYTES = HEADER_BYTES;

/**
 * One of the up to two records of a key. The one with the greater position is the newer; writing it with `floor` = its
 * position makes the other one dead, with `floor` = position - 1 keeps it.
 */
export interface RecordWrite {
  /** Whole number from 0. A write below the key's floor is skipped. */
  readonly position: number;
  /** `position` (the default) or one below it. */
  readonly floor?: number;
  /** At most MAX_HEADER_BYTES, kept in memory; byte 0 is the class by which stats count keys. Default: zeros. */
  readonly header?: Uint8Array;
  readonly value: Bytes;
}

/** What is in memory of a record. */
export interface RecordInfo {
  readonly position: number;
  readonly floor: number;
  /** Number of its write: store-wide, growing. */
  readonly lsn: number;
  /** MAX_HEADER_BYTES long. */
  readonly header: Uint8Array;
  readonly valueBytes: number;
}

export interface StoredRecord extends RecordInfo {
  readonly value: Uint8Array;
}

/** One operation of a batch. `record` is `putRecord`'s. */
export type BatchOperation =
  | { readonly type: "put"; readonly key: Bytes; readonly value: Bytes }
  | { readonly type: "delete"; readonly key: Bytes }
  | { readonly type: "record"; readonly key: Bytes; readonly record: RecordWrite };

export const NO_HEADER = new Uint8Array(HEADER_BYTES);
export const NO_VALUE = new Uint8Array(0);

/** Throws on what is no key; a key that is too long is the data's fault, and an error to reject with. */
export function keyOf(given: Bytes): Key {
  if (typeof given === "string") return textKey(given);
  if (!(given instanceof Uint8Array)) throw new TypeError("a key is a string or a Uint8Array");
  if (given.length === 0) throw new RangeError("a key has at least one byte");
  return rawKey(Buffer.from(given.buffer, given.byteOffset, given.length).toString("latin1"));
}

function textKey(text: string): Key {
  if (text.length === 0) throw new RangeError("a key has at least one byte");
  let all = 0;
  for (let i = 0; i < text.length; i++) all |= text.charCodeAt(i);
  // One byte per character is what the engine's keys are made of: ASCII is there already.
  return rawKey(all < 128 ? text : Buffer.from(text, "utf8").toString("latin1"));
}

export function keyBytes(key: Key): Uint8Array {
  return Buffer.from(key, "latin1");
}

export function valueOf(given: Bytes): Uint8Array {
  if (typeof given === "string") return Buffer.from(given, "utf8");
  if (given instanceof Uint8Array) return given;
  throw new TypeError("a value is a string or a Uint8Array");
}

export function keyTooLong(key: Key): StoreError | null {
  if (key.length <= MAX_KEY_BYTES) return null;
  return new StoreError("too-large", `a key has at most ${String(MAX_KEY_BYTES)} bytes, not ${String(key.length)}`);
}

export function positionOf(position: number): number {
  if (Number.isSafeInteger(position) && position >= 0) return position;
  throw new RangeError("a position is a whole number from 0 to 2^53 - 1");
}

export function floorOf(record: RecordWrite): number {
  const { position, floor = position } = record;
  if (floor === position || (floor === position - 1 && floor >= 0)) return floor;
  throw new RangeError("a floor is its position or one below it");
}

export function headerOf(given: Uint8Array | undefined): Uint8Array {
  if (given === undefined) return NO_HEADER;
  if (!(given instanceof Uint8Array)) throw new TypeError("a header is a Uint8Array");
  if (given.length > HEADER_BYTES) throw new RangeError(`a header has at most ${String(HEADER_BYTES)} bytes`);
  const header = new Uint8Array(HEADER_BYTES);
  header.set(given);
  return header;
}

/** An own copy of a slot that the next load overwrites. */
export function infoOf(slot: SlotView): RecordInfo {
  const { position, floor, lsn, header, valueBytes } = slot;
  return { position, floor, lsn, header: header.slice(), valueBytes };
}
