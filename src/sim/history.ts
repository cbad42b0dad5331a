/**
 * A history: what clients asked for, what they were told and when. It is the only thing the checker sees, so it must not
 * know who recorded it: the simulator on virtual time, or clients of real processes on a monotonic clock. The one idea:
 * three outcomes, never folded. Told (a reply), UNKNOWN (open for ever), NOT APPLIED (must never take effect).
 */

/** One command on one key. Values are compared as strings; `add` works on safe integers. */
export type Call =
  /** GET. Reply: the value, or null. */
  | { readonly kind: "read" }
  /** VGET. Reply: [version, value], or null. */
  | { readonly kind: "read-version" }
  /** SET. Reply: 1. */
  | { readonly kind: "set"; readonly value: string }
  /** SET NX. Reply: 1 when set, 0 when there was a value. */
  | { readonly kind: "set-absent"; readonly value: string }
  /** VSET. Reply: the new version, or null when the version was another one. `version` 0 = must not exist. */
  | { readonly kind: "set-version"; readonly value: string; readonly version: number }
  /** DEL. Reply: 1 when there was a value, else 0. */
  | { readonly kind: "delete" }
  /** INCRBY. Reply: the new value; an absent key counts as 0. */
  | { readonly kind: "add"; readonly delta: number };

export type Reply = null | number | string | readonly [version: number, value: string];

export type Told =
  | { readonly status: "replied"; readonly reply: Reply }
  /** Took effect once, at any time after its start, or never. */
  | { readonly status: "unknown" }
  /** Never took effect and never will. */
  | { readonly status: "not-applied" };

/** One operation of one client. Times in any unit, of one clock for the whole history. */
export interface HistoryOperation {
  readonly client: number;
  readonly key: string;
  readonly call: Call;
  readonly start: number;
  /** When the client was told; without meaning for the checker when the outcome is unknown. */
  readonly end: number;
  readonly told: Told;
}

/** Value and version of a key. An absent key keeps the version it had (P24). */
export interface KeyState {
  readonly value: string | null;
  readonly version: number;
}

export const NEVER_WRITTEN: KeyState = { value: null, version: 0 };

export interface Step {
  readonly state: KeyState;
  readonly reply: Reply;
}

/** A decimal integer that a JavaScript number holds exactly; null for anything else. */
export function safeInteger(text: string): number | null {
  if (!/^-?(0|[1-9][0-9]{0,15})$/.test(text)) return null;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : null;
}

/** The sequential specification of one key: what a store with one client and no faults does. Null: an error, nothing done. */
export function applyCall(state: KeyState, call: Call): Step | null {
  const { value, version } = state;
  switch (call.kind) {
    case "read":
      return { state, reply: value };
    case "read-version":
      return { state, reply: value === null ? null : [version, value] };
    case "set":
      return { state: { value: call.value, version: version + 1 }, reply: 1 };
    case "set-absent":
      if (value !== null) return { state, reply: 0 };
      return { state: { value: call.value, version: version + 1 }, reply: 1 };
    case "set-version":
      if (call.version !== (value === null ? 0 : version)) return { state, reply: null };
      return { state: { value: call.value, version: version + 1 }, reply: version + 1 };
    case "delete":
      if (value === null) return { state, reply: 0 };
      return { state: { value: null, version: version + 1 }, reply: 1 };
    case "add": {
      const base = value === null ? 0 : safeInteger(value);
      if (base === null || !Number.isSafeInteger(base + call.delta)) return null;
      const sum = base + call.delta;
      return { state: { value: String(sum), version: version + 1 }, reply: sum };
    }
  }
}

/** Two replies say the same. */
export function sameReply(a: Reply, b: Reply): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  return a[0] === b[0] && a[1] === b[1];
}

/** One line for people: client, times, call and what it was told. */
export function describeOperation(operation: HistoryOperation): string {
  const { call, told } = operation;
  const argument = "value" in call ? ` ${call.value}` : "delta" in call ? ` ${String(call.delta)}` : "";
  const version = call.kind === "set-version" ? ` @${String(call.version)}` : "";
  const outcome = told.status === "replied" ? JSON.stringify(told.reply) : told.status.toUpperCase();
  const end = told.status === "unknown" ? "..." : String(operation.end);
  return `client ${String(operation.client)} [${String(operation.start)}, ${end}] ${call.kind}${argument}${version} -> ${outcome}`;
}
