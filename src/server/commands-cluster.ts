/**
 * CLUSTER and what belongs to it: what cluster clients ask to find the nodes. Formats are those of Redis 7; who is called a
 * master there is the node to ask first (cluster-view.ts), and any other of its group serves as well.
 */
import { clientBytes } from "../base/key.js";
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { clusterNodeId, type Member, members, type SlotRange, slotRanges, slotsServed } from "./cluster-view.js";
import { SLOTS, slotOfKey } from "../cluster/index.js";
import { NOT_INTEGER } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";

/** The keys of a slot are looked for at nodes with no more keys than this, in steps of so many. */
const MAX_KEYS = 10_000;
const SCAN_STEP = 1000;
const MAX_STEPS = 20;

/** Every node serves reads and writes of every key it is asked for: there is nothing to switch. */
export const clusterMode: Handler = (client) => {
  client.out.simple("OK");
};

export const clusterInfo: Handler = (client) => {
  const all = members(client.context);
  const served = slotsServed(client.context, all);
  const isOk = served === SLOTS;
  const epoch = String(epochOf(client));
  const fields: readonly (readonly [string, string])[] = [
    ["cluster_enabled", "1"],
    ["cluster_state", isOk ? "ok" : "fail"],
    ["cluster_slots_assigned", String(SLOTS)],
    ["cluster_slots_ok", String(served)],
    ["cluster_slots_pfail", "0"],
    ["cluster_slots_fail", String(SLOTS - served)],
    ["cluster_known_nodes", String(all.size)],
    ["cluster_size", String(all.size)],
    ["cluster_current_epoch", epoch],
    ["cluster_my_epoch", epoch],
  ];
  client.out.verbatim(fields.map(([name, value]) => `${name}:${value}\r\n`).join(""));
};

/** What Redis counts as changes of who holds what: the version of the map. */
function epochOf({ context }: Client): number {
  return context.map?.map.version ?? 1;
}

export const clusterMyId: Handler = (client) => {
  const { clusterId, nodeId } = client.context.config;
  client.out.text(clusterNodeId(clusterId, nodeId));
};

export const clusterSlots: Handler = (client) => {
  const { out } = client;
  const ranges = slotRanges(client.context);
  out.array(ranges.length);
  for (const { first, last, members: listed } of ranges) {
    out.array(2 + listed.length);
    out.integer(first);
    out.integer(last);
    for (const member of listed) {
      out.array(4);
      out.text(member.host);
      out.integer(member.port);
      out.text(member.id);
      out.array(0);
    }
  }
};

export const clusterShards: Handler = (client) => {
  const { out } = client;
  const ranges = slotRanges(client.context);
  out.array(ranges.length);
  for (const range of ranges) {
    out.map(2);
    out.text("slots");
    out.array(2);
    out.integer(range.first);
    out.integer(range.last);
    out.text("nodes");
    out.array(range.members.length);
    for (const [place, member] of range.members.entries()) shardMember(out, member, place === 0);
  }
};

function shardMember(out: ReplyWriter, member: Member, isFirst: boolean): void {
  out.map(7);
  out.text("id");
  out.text(member.id);
  out.text("port");
  out.integer(member.port);
  out.text("ip");
  out.text(member.host);
  out.text("endpoint");
  out.text(member.host);
  out.text("role");
  out.text(isFirst ? "master" : "replica");
  out.text("replication-offset");
  out.integer(0);
  out.text("health");
  out.text(member.health);
}

/** One line a node, with the slots for which it is the first to ask. */
export const clusterNodes: Handler = (client) => {
  const all = members(client.context);
  const ranges = slotRanges(client.context, all);
  client.out.verbatim([...all.values()].map((member) => `${nodeLine(member, ranges, epochOf(client))}\n`).join(""));
};

function nodeLine(member: Member, ranges: readonly SlotRange[], epoch: number): string {
  const own = ranges.filter(({ members: [first] }) => first?.id === member.id);
  const flags = `${member.isSelf ? "myself," : ""}master${member.health === "online" ? "" : ",fail"}`;
  const link = member.health === "online" ? "connected" : "disconnected";
  const slots = own.map(({ first, last }) => ` ${String(first)}-${String(last)}`).join("");
  const address = `${member.host}:${String(member.port)}@${String(member.peerPort)}`;
  return `${member.id} ${address} ${flags} - 0 0 ${String(epoch)} ${link}${slots}`;
}

export const clusterKeySlot: Handler = (client, args) => {
  client.out.integer(slotOfKey(args.bytes(2)));
};

export const clusterCountKeysInSlot: Handler = (client, args) => {
  const slot = slotAt(client.out, args);
  if (slot === null || !client.settled()) return;
  const found = keysInSlot(client, slot, Number.MAX_SAFE_INTEGER);
  if (found !== null) client.out.integer(found.length);
};

export const clusterGetKeysInSlot: Handler = (client, args) => {
  const slot = slotAt(client.out, args);
  if (slot === null) return;
  const count = digitsAt(args, 3);
  if (count === null || Number(count) < 0) {
    client.out.error(count === null ? NOT_INTEGER : "ERR Invalid number of keys");
    return;
  }
  if (!client.settled()) return;
  const found = keysInSlot(client, slot, Number(count));
  if (found === null) return;
  client.out.array(found.length);
  for (const key of found) client.out.bulk(key);
};

/** Null: it is none, and the error was written. */
function slotAt(out: ReplyWriter, args: Arguments): number | null {
  const digits = digitsAt(args, 2);
  const slot = Number(digits ?? Number.NaN);
  if (slot >= 0 && slot < SLOTS) return slot;
  out.error(digits === null ? NOT_INTEGER : "ERR Invalid slot");
  return null;
}

/** Of the keys that this node holds, at most `most`. Null: there are too many to go over, and the error was written. */
function keysInSlot(client: Client, slot: number, most: number): Uint8Array[] | null {
  const { service } = client.context;
  const found: Uint8Array[] = [];
  let cursor = 0n;
  let steps = 0;
  do {
    if ((service?.countKeys() ?? 0) > MAX_KEYS || steps++ === MAX_STEPS) {
      client.out.error("ERR this node holds too many keys to go over them for one slot; use SCAN");
      return null;
    }
    cursor =
      service?.scanKeys(cursor, SCAN_STEP, (key) => {
        const bytes = Buffer.from(clientBytes(key), "latin1");
        if (found.length < most && slotOfKey(bytes) === slot) found.push(bytes);
      }) ?? 0n;
  } while (cursor !== 0n && found.length < most);
  return found;
}
