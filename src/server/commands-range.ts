/** Parts of values, and floating point sums. */
import { exactText, parseLongDouble } from "../base/long-double.js";
import { digitsAt, keyAt, valueFits } from "./arguments.js";
import type { Handler } from "./client.js";
import { NOT_FLOAT, NOT_INTEGER, renderNumber, renderNumberAsText, renderRead } from "./replies.js";

const EMPTY = new Uint8Array(0);

export const getrange: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  const [from, to] = [digitsAt(args, 2), digitsAt(args, 3)];
  if (from === null || to === null) {
    client.out.error(NOT_INTEGER);
    return;
  }
  const [first, last] = [Number(from), Number(to)];
  // As numbers the two may look alike though they are not.
  const backwards = first < 0 && last < 0 && (first > last || (first === last && BigInt(from) > BigInt(to)));
  client.read(
    key,
    renderRead((out, read) => {
      out.bulk(backwards ? EMPTY : part(read.value, first, last));
    }),
  );
};

/** Both ends included; negative ones count from the end. */
function part(value: Uint8Array, first: number, last: number): Uint8Array {
  const from = Math.max(0, first < 0 ? value.length + first : first);
  const to = Math.min(value.length - 1, Math.max(0, last < 0 ? value.length + last : last));
  return from > to ? EMPTY : value.subarray(from, to + 1);
}

export const setrange: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null || !valueFits(client, args, 3)) return;
  const digits = digitsAt(args, 2);
  if (digits === null) {
    client.out.error(NOT_INTEGER);
    return;
  }
  if (digits.startsWith("-")) {
    client.out.error("ERR offset is out of range");
    return;
  }
  const maxBytes = client.context.limits.maxValueBytes;
  const offset = Math.min(Number(digits), maxBytes + 1);
  client.write(key, { kind: "set-range", offset, value: args.bytes(3), maxBytes }, renderNumber);
};

export const incrbyfloat: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  const delta = parseLongDouble(args.latin1(2));
  if (delta === null) {
    client.out.error(NOT_FLOAT);
    return;
  }
  const maxBytes = client.context.limits.maxValueBytes;
  client.write(key, { kind: "add-float", delta: exactText(delta), maxBytes }, renderNumberAsText);
};
