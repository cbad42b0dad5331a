/**
 * Hash slots of Redis Cluster: which of the 16,384 a key belongs to. CRC16 (XMODEM: polynomial 0x1021, no reflection, start
 * 0) of the key, or of its hash tag: what stands between the first { and the next }, when that is not empty.
 * Source: the Redis Cluster specification, "Key distribution model" and "Hash tags".
 */

import type { Key } from "../base/key.js";

export const SLOTS = 16_384;

const POLYNOMIAL = 0x1021;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL;
  return crc;
});

/** The slot of a key, 0 to 16,383. */
export function slotOfKey(key: Uint8Array): number {
  const open = key.indexOf(OPEN);
  if (open < 0) return crc16(key, 0, key.length) % SLOTS;
  const close = key.indexOf(CLOSE, open + 1);
  return close <= open + 1 ? crc16(key, 0, key.length) % SLOTS : crc16(key, open + 1, close) % SLOTS;
}

/** The same, of a key as the rooms below know it: one character a byte, behind the letter of its name space. */
export function slotOfName(name: Key): number {
  const open = name.indexOf("{", 1);
  const close = open < 0 ? -1 : name.indexOf("}", open + 1);
  const isTagged = close > open + 1;
  const [from, end] = isTagged ? [open + 1, close] : [1, name.length];
  let crc = 0;
  for (let at = from; at < end; at++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ name.charCodeAt(at)] ?? 0);
  }
  return crc % SLOTS;
}

function crc16(bytes: Uint8Array, from: number, end: number): number {
  let crc = 0;
  for (let at = from; at < end; at++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ (bytes[at] ?? 0)] ?? 0);
  }
  return crc;
}
