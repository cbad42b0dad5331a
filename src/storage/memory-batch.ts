/** What a store in memory gathers between two submits, and keeps until its batch ends. */
import type { Key } from "../base/key.js";
import type { StoreStatus } from "./store.js";

export interface Put {
  readonly kind: "put";
  readonly key: Key;
  readonly position: number;
  readonly floor: number;
  readonly header: Uint8Array;
  readonly value: Uint8Array;
}

export interface Mark {
  readonly kind: "mark";
  readonly key: Key;
  readonly position: number;
  readonly floor: number;
  readonly header: Uint8Array;
}

export interface Drop {
  readonly kind: "drop";
  readonly key: Key;
}

export type Change = Put | Mark | Drop;

export interface Read {
  readonly tag: number;
  readonly key: Key;
  readonly position: number;
}

export interface Batch {
  readonly token: number;
  readonly changes: readonly Change[];
  readonly status: StoreStatus;
}
