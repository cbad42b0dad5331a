/**
 * The handshake: who says what first, and who is refused. Both sides send Hello; magic and protocol version stand first
 * in it and are judged before the rest is read, so that a later version may say the rest differently. Pure functions over
 * bytes and Hellos; sockets are the link's.
 */
import { ByteReader, ByteWriter } from "../base/cursor.js";
import type { ReplicaId } from "../paxos/ballot.js";
import type { PeerAddress } from "./options.js";
import { type Hello, PROTOCOL_VERSION } from "./transport.js";

/** "plogdb" and two bytes that no text protocol begins with. */
const MAGIC_LOW = 0x676f6c70;
const MAGIC_HIGH = 0x0a006264;
const MAX_NAME_BYTES = 255;
const MAX_REASON = 300;
const STORAGE_ID = /^[0-9a-f]{32}$/;

/** No Hello, and no reason, is larger. */
export const MAX_HANDSHAKE_BYTES = 2048;

/** A Hello as it travels: with the number of the attempt, which rises with every dial of one process. */
export interface Greeting {
  readonly hello: Hello;
  readonly attempt: number;
}

export function encodeGreeting(hello: Hello, attempt: number): Uint8Array {
  const out = new ByteWriter(256);
  out.u32(MAGIC_LOW);
  out.u32(MAGIC_HIGH);
  out.u32(hello.protocolVersion);
  out.blob(Buffer.from(hello.clusterId, "utf8"));
  out.u53(hello.epoch);
  out.u32(hello.group);
  out.u32(hello.placement);
  out.blob(Buffer.from(hello.nodeId, "utf8"));
  out.u8(hello.replica);
  out.u53(hello.incarnation);
  out.latin1(hello.storageId);
  out.u53(hello.nonce);
  out.u53(hello.loss);
  out.u53(hello.lossAll);
  out.u53(attempt);
  return out.view();
}

/** What a peer said, or why it cannot be understood. */
export function decodeGreeting(payload: Uint8Array): Greeting | string {
  const reader = new ByteReader(payload);
  const magic = reader.u32() === MAGIC_LOW && reader.u32() === MAGIC_HIGH;
  if (!magic) return "not a peer of this protocol";
  const protocolVersion = reader.u32();
  if (protocolVersion !== PROTOCOL_VERSION) {
    return `protocol version ${protocolVersion} against ${PROTOCOL_VERSION}`;
  }
  const clusterId = readName(reader);
  const epoch = reader.u53();
  const group = reader.u32();
  const placement = reader.u32();
  const nodeId = readName(reader);
  const replica = reader.u8();
  const incarnation = reader.u53();
  const storageId = reader.latin1();
  const nonce = reader.u53();
  const loss = reader.u53();
  const lossAll = reader.u53();
  const attempt = reader.u53();
  if (reader.failed || reader.remaining > 0 || !STORAGE_ID.test(storageId) || lossAll > loss) return "malformed hello";
  const whose = { protocolVersion, clusterId, epoch, group, placement };
  return {
    hello: { ...whose, nodeId, replica, incarnation, storageId, nonce, loss, lossAll },
    attempt,
  };
}

function readName(reader: ByteReader): string {
  const bytes = reader.blob();
  if (bytes.length > MAX_NAME_BYTES) reader.failed = true;
  return Buffer.from(bytes).toString("utf8");
}

/**
 * Why `theirs` is refused, or null. `expected`: the replica that was dialled, or null when they dialled us. The replica
 * with the higher number dials, so a pair has one connection.
 */
export function judgeHello(
  theirs: Hello,
  own: Hello,
  nodes: readonly PeerAddress[],
  expected: ReplicaId | null,
): string | null {
  if (theirs.clusterId !== own.clusterId) {
    return `cluster ${quote(theirs.clusterId)} against ${quote(own.clusterId)}`;
  }
  if (theirs.placement !== own.placement || theirs.group !== own.group) {
    return `group ${theirs.group} of another placement: its configuration names other nodes or zones`;
  }
  if (theirs.epoch !== own.epoch) return `configuration epoch ${theirs.epoch} against ${own.epoch}`;
  const who = `node ${quote(theirs.nodeId)} as replica ${theirs.replica}`;
  if (theirs.replica === own.replica) {
    return theirs.nonce === own.nonce ? `${who}: that is this node itself` : `${who}: that is this node's own number`;
  }
  const known = nodes.find((node) => node.replica === theirs.replica);
  if (known?.nodeId !== theirs.nodeId) return `${who}: not a node of this configuration`;
  if (expected === null) return theirs.replica > own.replica ? null : `${who}: the higher number dials`;
  return theirs.replica === expected ? null : `${who}: replica ${expected} was expected at this address`;
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 64));
}

export function encodeReason(reason: string): Uint8Array {
  return Buffer.from(reason.slice(0, MAX_REASON), "utf8");
}

/** A reason that somebody else gave, made fit for logs. */
export function decodeReason(payload: Uint8Array): string {
  return Buffer.from(payload)
    .toString("utf8")
    .slice(0, MAX_REASON)
    .replace(/[^\x20-\x7e]/g, "?");
}
