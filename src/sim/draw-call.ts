/**
 * What clients do, drawn at random. Four sorts of keys: counters and registers, whose every value is written once, so that
 * the search for a linear order is cheap; mixed ones, with small numbers that several writes share; rich ones, with every
 * operation there is, which only the ledger can judge. A call is an operation for the node and, when the search knows it, its
 * line in the history.
 */
import type { Random } from "../base/random.js";
import { type Condition, KEEP_EXPIRY, NO_EXPIRY, type Operation } from "../paxos/operation.js";
import type { Call } from "./history.js";

export type KeySort = "counter" | "register" | "mixed" | "rich";

export interface DrawnCall {
  /** Null: a read. */
  readonly operation: Operation | null;
  /** Null: on a rich key. */
  readonly call: Call | null;
}

/** What a draw may depend on. */
export interface DrawContext {
  readonly random: Random;
  readonly mostValueBytes: number;
  /** A name that no other value has. */
  newTag(): string;
  /** The newest version of the key that anybody was told. */
  readonly version: number;
  readonly wallMs: number;
}

/** Between the tag and what makes a value long. */
const TAG_END = ":";
const MOST_EXPIRY_MS = 900;
const APPEND_BOUND = 3000;
const encoder = new TextEncoder();

export function drawCall(sort: KeySort, context: DrawContext): DrawnCall {
  switch (sort) {
    case "counter":
      return ofCall(
        context.random.chance(0.6) ? { kind: "add", delta: 1 + context.random.below(3) } : { kind: "read" },
      );
    case "register":
      return drawRegister(context);
    case "mixed":
      return drawMixed(context);
    case "rich":
      return { operation: drawRich(context), call: null };
  }
}

function drawRegister(context: DrawContext): DrawnCall {
  const { random, version } = context;
  const draw = random.below(100);
  if (draw < 30) return ofCall({ kind: "read" });
  if (draw < 38) return ofCall({ kind: "read-version" });
  if (draw < 50) return ofCall({ kind: "delete" });
  const tag = context.newTag();
  if (draw < 75) return ofCall({ kind: "set", value: tag }, context);
  if (draw < 88) return ofCall({ kind: "set-absent", value: tag }, context);
  return ofCall({ kind: "set-version", value: tag, version: random.chance(0.8) ? version : random.below(9) }, context);
}

function drawMixed({ random, version }: DrawContext): DrawnCall {
  const value = String(random.below(40));
  switch (random.below(8)) {
    case 0:
      return ofCall({ kind: "delete" });
    case 1:
    case 2:
      return ofCall({ kind: "set", value });
    case 3:
      return ofCall({ kind: "set-version", value, version });
    case 4:
    case 5:
      return ofCall({ kind: "add", delta: 1 });
    default:
      return ofCall({ kind: "read" });
  }
}

function drawRich(context: DrawContext): Operation | null {
  const { random } = context;
  const draw = random.below(100);
  if (draw < 30) return null;
  if (draw < 60) return drawSet(context);
  if (draw < 68) return { kind: "delete" };
  if (draw < 76) return { kind: "add", delta: String(random.below(2001) - 1000) };
  if (draw < 88) return { kind: "append", value: encoder.encode(context.newTag()), maxBytes: APPEND_BOUND };
  if (draw < 95) return { kind: "expire", expiryMs: deadline(context) };
  return { kind: "persist" };
}

function drawSet(context: DrawContext): Operation {
  const { random } = context;
  const expiries = [NO_EXPIRY, NO_EXPIRY, KEEP_EXPIRY, deadline(context)];
  const conditions: Condition[] = [
    { kind: "none" },
    { kind: "none" },
    { kind: "absent" },
    { kind: "present" },
    { kind: "version", version: context.version },
  ];
  // Some are numbers, for what is added later.
  const text = random.chance(0.2) ? String(random.below(1_000_000)) : padded(context.newTag(), context);
  return {
    kind: "set",
    value: encoder.encode(text),
    expiryMs: expiries[random.below(expiries.length)] ?? NO_EXPIRY,
    condition: conditions[random.below(conditions.length)] ?? { kind: "none" },
    returnOld: random.chance(0.3),
  };
}

function deadline({ random, wallMs }: DrawContext): number {
  return wallMs + random.below(MOST_EXPIRY_MS);
}

function padded(tag: string, { random, mostValueBytes }: Pick<DrawContext, "random" | "mostValueBytes">): string {
  const length = random.below(mostValueBytes + 1);
  return length <= tag.length ? tag : tag + TAG_END.padEnd(length - tag.length, "x");
}

/** The name of a value, without what makes it long. */
export function tagOf(text: string): string {
  const end = text.indexOf(TAG_END);
  return end < 0 ? text : text.slice(0, end);
}

/** The operation that a call of the history is. With `context` its value is made long. */
export function ofCall(call: Call, context?: Pick<DrawContext, "random" | "mostValueBytes">): DrawnCall {
  const bytes = (text: string): Uint8Array => encoder.encode(context === undefined ? text : padded(text, context));
  const plain = { kind: "set", expiryMs: NO_EXPIRY, returnOld: false } as const;
  switch (call.kind) {
    case "read":
    case "read-version":
      return { operation: null, call };
    case "set":
      return { operation: { ...plain, value: bytes(call.value), condition: { kind: "none" } }, call };
    case "set-absent":
      return { operation: { ...plain, value: bytes(call.value), condition: { kind: "absent" } }, call };
    case "set-version":
      return {
        operation: { ...plain, value: bytes(call.value), condition: { kind: "version", version: call.version } },
        call,
      };
    case "delete":
      return { operation: { kind: "delete" }, call };
    case "add":
      return { operation: { kind: "add", delta: String(call.delta) }, call };
  }
}
