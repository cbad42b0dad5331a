/**
 * What nodes say to each other about themselves, no key involved: that they live, what they durably remember of one
 * another (P29), and the map of the cluster. Codec and validation only; what follows from a binding is the node's affair.
 */
import { unreachable } from "../base/assert.js";
import type { ByteReader, ByteWriter } from "../base/cursor.js";
import { readChoice, readFlag, readOwnBytes, readText, writeChoice, writeFlag, writeText } from "./fields.js";

/** Sent at a steady pace; the answer returns the sender's own tick, so only one clock measures the round trip. */
export interface HeartbeatMessage {
  readonly type: "heartbeat";
  readonly sentTick: number;
}

export interface HeartbeatReplyMessage {
  readonly type: "heartbeat-reply";
  /** `sentTick` of the heartbeat that this answers. */
  readonly sentTick: number;
  /** What a write with its flush takes at the sender of late, in microseconds; 0 = not known (P17). */
  readonly flushUs: number;
  /** Nodes of the cluster that the sender reaches, a bit each by their numbers; 0 in a cluster of one group. For advice to clients only. */
  readonly reaches: number;
  /** Version of the cluster's map that the sender knows, 0 = none. Who knows an older one asks for it. */
  readonly mapVersion: number;
}

export interface MapQueryMessage {
  readonly type: "map-query";
}

/** The cluster's map, as the sender knows it (node/map-board.ts). */
export interface MapMessage {
  readonly type: "map";
  readonly bytes: Uint8Array;
}

/** P29: the sender's durable memory of the receiver, and whether it accepts it as it is. */
export interface BindingMessage {
  readonly type: "binding";
  /** The receiver's (replica, incarnation, storage id) is bound durably: its messages are acted on. */
  readonly bound: boolean;
  /** The storage id bound now is the first that the sender ever bound for that replica. */
  readonly first: boolean;
  /** Highest incarnation of that replica that the sender remembers durably; 0 = none. */
  readonly remembersIncarnation: number;
  /** P31: what the receiver said before its loss of this number counts for nothing at the sender, durably. */
  readonly remembersLoss: number;
  /** Highest watermark that the sender ever heard from that storage id; 0 = none. */
  readonly remembersWatermark: number;
  /** Why not bound; empty when bound. */
  readonly reason: string;
}

export type ControlMessage = HeartbeatMessage | HeartbeatReplyMessage | BindingMessage | MapQueryMessage | MapMessage;

/** Part of the wire format: members are appended, never moved. */
const TYPES = [
  "heartbeat",
  "heartbeat-reply",
  "binding",
  "map-query",
  "map",
] as const satisfies readonly ControlMessage["type"][];

export function encodeControl(out: ByteWriter, message: ControlMessage): void {
  writeChoice(out, TYPES, message.type);
  switch (message.type) {
    case "heartbeat":
      out.varint(message.sentTick);
      return;
    case "heartbeat-reply":
      out.varint(message.sentTick);
      out.varint(message.flushUs);
      out.varint(message.reaches);
      out.varint(message.mapVersion);
      return;
    case "binding":
      writeFlag(out, message.bound);
      writeFlag(out, message.first);
      out.varint(message.remembersIncarnation);
      out.varint(message.remembersLoss);
      out.varint(message.remembersWatermark);
      writeText(out, message.reason);
      return;
    case "map-query":
      return;
    case "map":
      out.blob(message.bytes);
      return;
    default:
      unreachable(message);
  }
}

/** Null when it is none; then the reader failed. */
export function decodeControl(reader: ByteReader): ControlMessage | null {
  const message = decodeFields(reader, readChoice(reader, TYPES));
  return reader.failed ? null : message;
}

function decodeFields(reader: ByteReader, type: ControlMessage["type"]): ControlMessage {
  switch (type) {
    case "heartbeat":
      return { type, sentTick: reader.varint() };
    case "heartbeat-reply": {
      const sentTick = reader.varint();
      const flushUs = reader.varint();
      const reaches = reader.varint();
      return { type, sentTick, flushUs, reaches, mapVersion: reader.varint() };
    }
    case "binding": {
      const bound = readFlag(reader);
      const first = readFlag(reader);
      const remembersIncarnation = reader.varint();
      const remembersLoss = reader.varint();
      const remembersWatermark = reader.varint();
      const reason = readText(reader);
      return { type, bound, first, remembersIncarnation, remembersLoss, remembersWatermark, reason };
    }
    case "map-query":
      return { type };
    case "map":
      return { type, bytes: readOwnBytes(reader) };
    default:
      return unreachable(type);
  }
}
