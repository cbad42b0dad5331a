/**
 * XXH3 with 64 bits and no seed: the digest by which clients compare values that they do not want to send (DIGEST,
 * IFDEQ). Written after the algorithm's public specification. Short inputs are worked out in BigInt; the loop over long
 * ones uses pairs of 32-bit halves, because a value may have megabytes.
 */

const MASK = 0xffff_ffff_ffff_ffffn;
const PRIME32_1 = 0x9e3779b1;
const PRIME32_2 = 0x85ebca77n;
const PRIME32_3 = 0xc2b2ae3dn;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;

/** The algorithm's own 192 bytes. */
const SECRET = Uint8Array.from(
  (
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e" +
    "e03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d" +
    "8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc" +
    "8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
  ).match(/../g) ?? [],
  (digits) => Number.parseInt(digits, 16),
);
const SECRET_VIEW = new DataView(SECRET.buffer);

const STRIPE_BYTES = 64;
const STRIPES_PER_BLOCK = 16;
const LANES = 8;
const LAST_STRIPE_SECRET = 121;
const SCRAMBLE_SECRET = 128;
const MERGE_SECRET = 11;

/** 16 hexadecimal digits in lower case. */
export function xxh3(bytes: Uint8Array): string {
  return hash(bytes).toString(16).padStart(16, "0");
}

function hash(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = bytes;
  if (length > 240) return hashLong(view);
  if (length > 128) return hashTo240(view);
  if (length > 16) return hashTo128(view);
  if (length > 8) return hashTo16(view);
  if (length >= 4) return hashTo8(view);
  if (length > 0) return hashTo3(view);
  return avalanche64(secret64(56) ^ secret64(64));
}

function read64(view: DataView, at: number): bigint {
  return view.getBigUint64(at, true);
}

function secret64(at: number): bigint {
  return SECRET_VIEW.getBigUint64(at, true);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function byteSwap(value: bigint): bigint {
  let swapped = 0n;
  for (let i = 0n; i < 8n; i++) swapped = (swapped << 8n) | ((value >> (8n * i)) & 0xffn);
  return swapped;
}

function multiplyFold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(value: bigint): bigint {
  const mixed = ((value ^ (value >> 37n)) * PRIME_MX1) & MASK;
  return mixed ^ (mixed >> 32n);
}

function avalanche64(value: bigint): bigint {
  let mixed = ((value ^ (value >> 33n)) * PRIME64_2) & MASK;
  mixed = ((mixed ^ (mixed >> 29n)) * PRIME64_3) & MASK;
  return mixed ^ (mixed >> 32n);
}

function hashTo3(view: DataView): bigint {
  const length = view.byteLength;
  const first = view.getUint8(0);
  const middle = view.getUint8(length >> 1);
  const last = view.getUint8(length - 1);
  const combined = ((first << 16) | (middle << 24) | last | (length << 8)) >>> 0;
  const flip = (SECRET_VIEW.getUint32(0, true) ^ SECRET_VIEW.getUint32(4, true)) >>> 0;
  return avalanche64(BigInt((combined ^ flip) >>> 0));
}

function hashTo8(view: DataView): bigint {
  const length = view.byteLength;
  const head = BigInt(view.getUint32(0, true));
  const tail = BigInt(view.getUint32(length - 4, true));
  let mixed = (tail + (head << 32n)) ^ secret64(8) ^ secret64(16);
  mixed ^= rotateLeft(mixed, 49n) ^ rotateLeft(mixed, 24n);
  mixed = (mixed * PRIME_MX2) & MASK;
  mixed ^= ((mixed >> 35n) + BigInt(length)) & MASK;
  mixed = (mixed * PRIME_MX2) & MASK;
  return mixed ^ (mixed >> 28n);
}

function hashTo16(view: DataView): bigint {
  const length = view.byteLength;
  const low = read64(view, 0) ^ secret64(24) ^ secret64(32);
  const high = read64(view, length - 8) ^ secret64(40) ^ secret64(48);
  return avalanche((BigInt(length) + byteSwap(low) + high + multiplyFold(low, high)) & MASK);
}

function mix16(view: DataView, at: number, secretAt: number): bigint {
  return multiplyFold(read64(view, at) ^ secret64(secretAt), read64(view, at + 8) ^ secret64(secretAt + 8));
}

/** Pairs of 16 bytes from both ends, inwards. */
function hashTo128(view: DataView): bigint {
  const length = view.byteLength;
  let sum = BigInt(length) * PRIME64_1;
  for (let i = Math.floor((length - 1) / 32); i >= 0; i--) {
    sum += mix16(view, 16 * i, 32 * i) + mix16(view, length - 16 * (i + 1), 32 * i + 16);
  }
  return avalanche(sum & MASK);
}

function hashTo240(view: DataView): bigint {
  const length = view.byteLength;
  let sum = BigInt(length) * PRIME64_1;
  for (let i = 0; i < 8; i++) sum += mix16(view, 16 * i, 16 * i);
  sum = avalanche(sum & MASK);
  const rounds = Math.floor(length / 16);
  for (let i = 8; i < rounds; i++) sum += mix16(view, 16 * i, 16 * (i - 8) + 3);
  sum += mix16(view, length - 16, 119);
  return avalanche(sum & MASK);
}

/** Eight sums of 64 bits, each as a low and a high half. */
class Lanes {
  readonly #low = new Uint32Array(LANES);
  readonly #high = new Uint32Array(LANES);

  constructor(start: readonly bigint[]) {
    start.forEach((value, lane) => {
      this.#low[lane] = Number(value & 0xffff_ffffn);
      this.#high[lane] = Number(value >> 32n);
    });
  }

  at(lane: number): bigint {
    return (BigInt(this.#high[lane] ?? 0) << 32n) | BigInt(this.#low[lane] ?? 0);
  }

  accumulate(view: DataView, from: number, secretAt: number): void {
    for (let lane = 0; lane < LANES; lane++) {
      const low = view.getUint32(from + 8 * lane, true);
      const high = view.getUint32(from + 8 * lane + 4, true);
      this.#add(lane ^ 1, low, high);
      const keyLow = (low ^ SECRET_VIEW.getUint32(secretAt + 8 * lane, true)) >>> 0;
      const keyHigh = (high ^ SECRET_VIEW.getUint32(secretAt + 8 * lane + 4, true)) >>> 0;
      this.#add(lane, Math.imul(keyLow, keyHigh), highOfProduct(keyLow, keyHigh));
    }
  }

  scramble(secretAt: number): void {
    for (let lane = 0; lane < LANES; lane++) {
      let low = this.#low[lane] ?? 0;
      let high = this.#high[lane] ?? 0;
      low = (low ^ (high >>> 15) ^ SECRET_VIEW.getUint32(secretAt + 8 * lane, true)) >>> 0;
      high = (high ^ SECRET_VIEW.getUint32(secretAt + 8 * lane + 4, true)) >>> 0;
      this.#low[lane] = Math.imul(low, PRIME32_1);
      this.#high[lane] = highOfProduct(low, PRIME32_1) + Math.imul(high, PRIME32_1);
    }
  }

  #add(lane: number, low: number, high: number): void {
    const sum = (this.#low[lane] ?? 0) + (low >>> 0);
    this.#low[lane] = sum;
    this.#high[lane] = (this.#high[lane] ?? 0) + high + (sum > 0xffff_ffff ? 1 : 0);
  }
}

/** The upper 32 bits of a product of two 32-bit numbers. */
function highOfProduct(a: number, b: number): number {
  const lowA = a & 0xffff;
  const highA = a >>> 16;
  const lowB = b & 0xffff;
  const highB = b >>> 16;
  const middle = highA * lowB + ((lowA * lowB) >>> 16);
  const carry = (middle % 0x1_0000) + lowA * highB;
  return highA * highB + Math.floor(middle / 0x1_0000) + Math.floor(carry / 0x1_0000);
}

function hashLong(view: DataView): bigint {
  const length = view.byteLength;
  const lanes = new Lanes([
    PRIME32_3,
    PRIME64_1,
    PRIME64_2,
    PRIME64_3,
    PRIME64_4,
    PRIME32_2,
    PRIME64_5,
    BigInt(PRIME32_1),
  ]);
  const stripes = Math.floor((length - 1) / STRIPE_BYTES);
  for (let stripe = 0; stripe < stripes; stripe++) {
    const place = stripe % STRIPES_PER_BLOCK;
    lanes.accumulate(view, stripe * STRIPE_BYTES, 8 * place);
    if (place === STRIPES_PER_BLOCK - 1) lanes.scramble(SCRAMBLE_SECRET);
  }
  lanes.accumulate(view, length - STRIPE_BYTES, LAST_STRIPE_SECRET);
  let sum = BigInt(length) * PRIME64_1;
  for (let pair = 0; pair < LANES / 2; pair++) {
    const secretAt = MERGE_SECRET + 16 * pair;
    sum += multiplyFold(lanes.at(2 * pair) ^ secret64(secretAt), lanes.at(2 * pair + 1) ^ secret64(secretAt + 8));
  }
  return avalanche(sum & MASK);
}
