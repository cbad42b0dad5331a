/**
 * Sums in 80-bit floating point (64 bits of mantissa), which is what INCRBYFLOAT of Redis computes in on x86: read as C's
 * strtold reads, rounded once to the nearest even, written with 17 digits after the point and without trailing zeros.
 * Exact in BigInt, so every replica on every machine gets the same digits.
 */

/** `mantissa` times two to the `exponent`; the mantissa has 64 bits, fewer only at the least exponent. */
interface Finite {
  readonly negative: boolean;
  readonly mantissa: bigint;
  readonly exponent: number;
}

export type LongDouble = Finite | "infinite";

const MANTISSA_BITS = 64;
const LEAST_EXPONENT = -16_445;
const GREATEST_EXPONENT = 16_320;
/** As Redis: longer text is no number, neither read nor written. */
const MAX_TEXT = 5 * 1024;
/** Decimal exponents beyond are decided without computing a power. */
const FAR_DECIMAL = 11_000;
const FRACTION_DIGITS = 17;

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?$/;
const INFINITE = /^[+-]?inf(?:inity)?$/i;

/** Null: it is no number, or one that is too large or too small to be told from zero. */
export function parseLongDouble(text: string): LongDouble | null {
  if (text.length === 0 || text.length >= MAX_TEXT) return null;
  if (INFINITE.test(text)) return "infinite";
  return parseDecimal(text) ?? parseHexadecimal(text);
}

function parseDecimal(text: string): Finite | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const [, sign, whole = "", fraction = "", power = "0"] = match;
  if (whole === "" && fraction === "") return null;
  const digits = BigInt(whole + fraction);
  const exponent = clamp(power) - fraction.length;
  const negative = sign === "-";
  if (digits === 0n) return zero(negative);
  return exponent >= 0
    ? finite(negative, digits * 10n ** BigInt(exponent), 1n)
    : finite(negative, digits, 10n ** BigInt(-exponent));
}

function parseHexadecimal(text: string): Finite | null {
  const match = HEXADECIMAL.exec(text);
  if (match === null) return null;
  const [, sign, whole = "", fraction = "", power = "0"] = match;
  if (whole === "" && fraction === "") return null;
  const digits = BigInt(`0x${whole}${fraction}`);
  const exponent = clamp(power, 4 * FAR_DECIMAL) - 4 * fraction.length;
  const negative = sign === "-";
  if (digits === 0n) return zero(negative);
  return exponent >= 0
    ? finite(negative, digits << BigInt(exponent), 1n)
    : finite(negative, digits, 1n << BigInt(-exponent));
}

function clamp(power: string, bound = FAR_DECIMAL): number {
  return Math.max(-bound, Math.min(bound, Number(power)));
}

function zero(negative: boolean): Finite {
  return { negative, mantissa: 0n, exponent: LEAST_EXPONENT };
}

function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex.charAt(0), 16)));
}

/** The nearest to numerator / denominator, halves to even; null when it overflows, or underflows to zero. */
function finite(negative: boolean, numerator: bigint, denominator: bigint): Finite | null {
  let exponent = Math.max(LEAST_EXPONENT, bitLength(numerator) - bitLength(denominator) - MANTISSA_BITS);
  let mantissa = roundedQuotient(numerator, denominator, exponent);
  if (bitLength(mantissa) > MANTISSA_BITS) {
    exponent++;
    mantissa = roundedQuotient(numerator, denominator, exponent);
    if (bitLength(mantissa) > MANTISSA_BITS) {
      exponent++;
      mantissa >>= 1n; // a power of two: rounding carried all the way
    }
  }
  return exponent > GREATEST_EXPONENT || mantissa === 0n ? null : { negative, mantissa, exponent };
}

/** numerator / denominator / 2^exponent, rounded to an integer. */
function roundedQuotient(numerator: bigint, denominator: bigint, exponent: number): bigint {
  const above = exponent < 0 ? numerator << BigInt(-exponent) : numerator;
  const below = exponent > 0 ? denominator << BigInt(exponent) : denominator;
  const quotient = above / below;
  const twice = (above % below) * 2n;
  const up = twice > below || (twice === below && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** Null: the sum is not finite. */
export function addLongDoubles(a: LongDouble, b: LongDouble): Finite | null {
  if (a === "infinite" || b === "infinite") return null;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = signed(a, exponent) + signed(b, exponent);
  if (sum === 0n) return zero(a.negative && b.negative);
  const magnitude = sum < 0n ? -sum : sum;
  return exponent >= 0
    ? finite(sum < 0n, magnitude << BigInt(exponent), 1n)
    : finite(sum < 0n, magnitude, 1n << BigInt(-exponent));
}

function signed(value: Finite, exponent: number): bigint {
  const magnitude = value.mantissa << BigInt(value.exponent - exponent);
  return value.negative ? -magnitude : magnitude;
}

/** As Redis shows it to people: 17 digits after the point at most, no trailing zeros; shorter than MAX_TEXT. */
export function formatLongDouble(value: Finite): string {
  const scaled = value.mantissa * 10n ** BigInt(FRACTION_DIGITS);
  const digits = roundedQuotient(scaled, 1n, -value.exponent)
    .toString()
    .padStart(FRACTION_DIGITS + 1, "0");
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, "");
  const text = digits.slice(0, -FRACTION_DIGITS) + (fraction === "" ? "" : `.${fraction}`);
  return value.negative && text !== "0" ? `-${text}` : text;
}

/** The exact value in a short form that parseLongDouble reads: for the wire. */
export function exactText(value: LongDouble): string {
  if (value === "infinite") return "inf";
  return `${value.negative ? "-" : ""}0x${value.mantissa.toString(16)}p${String(value.exponent)}`;
}
