/** Non-cryptographic hashing of bytes and keys. The values are part of what replicas compare: never change them silently. */

function scramble(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 53-bit hash of bytes: two 32-bit lanes, one of which gives its upper 21 bits. A safe integer, never 0. */
export function hashBytes(bytes: Uint8Array): number {
  let a = 0x243f6a88 ^ bytes.length;
  let b = 0x85a308d3;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const word =
      (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24);
    a = Math.imul(a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b + word, 0x85ebca77) ^ a;
    b = (b << 13) | (b >>> 19);
  }
  for (let i = whole; i < bytes.length; i++) {
    a = Math.imul(a ^ (bytes[i] ?? 0), 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b + (bytes[i] ?? 0), 0x85ebca77) ^ a;
  }
  const low = scramble(a ^ b);
  const high = scramble(b + Math.imul(a, 0xc2b2ae3d)) & 0x1fffff;
  const value = high * 0x1_0000_0000 + low;
  return value === 0 ? 1 : value;
}

/** 32-bit hash of a key (one character per byte). */
export function hashKey(key: string): number {
  let h = 0x811c9dc5 ^ key.length;
  for (let i = 0; i < key.length; i++) {
    h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  }
  return scramble(h);
}
