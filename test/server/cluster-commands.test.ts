// Goal: cluster clients find the nodes: slots of keys, who is to be asked for which slots, and what is said when a node is
// down. Method: the view from literals; sessions against a server over a service in memory. The clients themselves:
// test/clients.
import { describe, expect, it } from "vitest";
import { clusterNodeId, hasQuorum, type Member, sharesOf, type SlotRange } from "../../src/server/cluster-view.js";
import { userKey } from "../../src/base/key.js";
import { SLOTS, slotOfKey, slotOfName } from "../../src/cluster/index.js";
import { startTestServer } from "./harness.js";
import { arity, bulk, error, OK, playSessions } from "./sessions.js";

const slot = (key: string): number => slotOfKey(Buffer.from(key));

describe("the slot of a key", () => {
  it("is that of the specification's check value", () => {
    expect(slot("123456789")).toBe(0x31c3 % SLOTS);
    expect(slot("foo")).toBe(12_182);
    expect(slot("")).toBe(0);
  });

  it("is that of the hash tag, when there is one that is not empty", () => {
    expect(slot("{user1000}.following")).toBe(slot("{user1000}.followers"));
    expect(slot("{user1000}.following")).toBe(slot("user1000"));
    expect(slot("foo{}{bar}")).not.toBe(slot("bar"));
    expect(slot("foo{{bar}}zap")).toBe(slot("{bar"));
    expect(slot("foo{bar}{zap}")).toBe(slot("bar"));
    expect(slot("foo{bar")).not.toBe(slot("bar"));
  });

  it("is the same of a key as the rooms below know it", () => {
    for (const key of [
      "",
      "foo",
      "{user1000}.following",
      "foo{}{bar}",
      "foo{{bar}}zap",
      "foo{bar",
      "}{",
      "{a}{b}",
      "\xff\x00",
    ]) {
      expect(slotOfName(userKey(key)), key).toBe(slotOfKey(Buffer.from(key, "latin1")));
    }
  });
});

function member(id: string, health: Member["health"], isSlow = false, isDrained = false): Member {
  return { id, host: "h", port: 1, peerPort: 2, isSelf: id === "a", health, isSlow, isDrained };
}

const ALL = { first: 0, last: SLOTS - 1 };
const orders = (ranges: readonly SlotRange[]): string[] =>
  ranges.map(({ members }) => members.map(({ id }) => id).join(""));

describe("who is to be asked", () => {
  it("shares the slots out, without gaps, to all that are up, each share with the others in another order", () => {
    const ranges = sharesOf(ALL, [member("a", "online"), member("b", "online"), member("c", "online")]);
    expect(orders(ranges)).toEqual(["abc", "acb", "bca", "bac", "cab", "cba"]);
    expect(ranges[0]?.first).toBe(0);
    expect(ranges.at(-1)?.last).toBe(SLOTS - 1);
    for (const [i, { first }] of ranges.entries()) if (i > 0) expect(first).toBe((ranges[i - 1]?.last ?? 0) + 1);
    for (const { first, last } of ranges) expect(Math.abs(last - first + 1 - SLOTS / 6)).toBeLessThanOrEqual(1);
  });

  it("hands the shares of one that is down to the others, half to each, and lists it last", () => {
    const ranges = sharesOf(ALL, [member("a", "online"), member("b", "failed"), member("c", "online")]);
    expect(orders(ranges)).toEqual(["acb", "acb", "cab", "acb", "cab", "cab"]);
  });

  it("lists one with a slow disk behind those that are well, and before those that are down", () => {
    const ranges = sharesOf(ALL, [member("a", "online", true), member("b", "failed"), member("c", "online")]);
    expect(new Set(orders(ranges))).toEqual(new Set(["cab"]));
  });

  it("lists one that is to be spared behind the slow ones, and before those that are down", () => {
    const ranges = sharesOf(ALL, [
      member("a", "online", false, true),
      member("b", "online", true),
      member("c", "failed"),
    ]);
    expect(new Set(orders(ranges))).toEqual(new Set(["bac"]));
  });

  it("knows groups of one and of two", () => {
    expect(orders(sharesOf(ALL, [member("a", "online")]))).toEqual(["a"]);
    expect(orders(sharesOf(ALL, [member("a", "online"), member("b", "online")]))).toEqual(["ab", "ba"]);
  });

  it("says that keys cannot be served without a majority", () => {
    expect(hasQuorum([member("a", "online"), member("b", "failed"), member("c", "failed")])).toBe(false);
    expect(hasQuorum([member("a", "online"), member("b", "failed"), member("c", "online")])).toBe(true);
  });
});

describe("CLUSTER", () => {
  it("tells each node's id, the same wherever it is asked", () => {
    expect(clusterNodeId("demo", "n1")).toMatch(/^[0-9a-f]{40}$/);
    expect(clusterNodeId("demo", "n1")).not.toBe(clusterNodeId("demo", "n2"));
    expect(clusterNodeId("a", "bc")).not.toBe(clusterNodeId("ab", "c"));
  });

  it("counts the versions of the map as its epochs, and says who is spared", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    const told = async (): Promise<string> => JSON.stringify(await client.ask("CLUSTER", "INFO"));
    expect(await told()).toContain("cluster_current_epoch:1");
    expect(await client.ask("REPLICA", "DRAIN", "n1", "ON")).toEqual({ simple: "OK" });
    expect(await told()).toContain("cluster_current_epoch:2");
    expect(JSON.stringify(await client.ask("CLUSTER", "NODES"))).toContain(" 0 0 2 connected");
    expect(JSON.stringify(await client.ask("REPLICA", "MAP"))).toContain('\\"drained\\":[\\"n1\\"]');
    expect(JSON.stringify(await client.ask("REPLICA", "STATUS"))).toContain('\\"mapVersion\\":2,\\"drained\\":true');
    expect(JSON.stringify(await client.ask("INFO", "cluster"))).toContain("cluster_map_version:2");
    expect(await client.ask("REPLICA", "DRAIN", "n1", "OFF")).toEqual({ simple: "OK" });
    expect(await client.ask("REPLICA", "DRAIN", "n9", "ON")).toEqual({
      error: "ERR there is no node n9 in this cluster",
    });
    expect(await client.ask("REPLICA", "DRAIN", "n1", "MAYBE")).toEqual({ error: "ERR syntax error, say ON or OFF" });
  });

  it("counts and returns the keys of a slot", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    await client.ask("MSET", "{foo}1", "a", "{foo}2", "b", "other", "c");
    await client.ask("DEL", "{foo}2");
    expect(await client.ask("CLUSTER", "COUNTKEYSINSLOT", String(slot("foo")))).toBe(1);
    expect(await client.ask("CLUSTER", "GETKEYSINSLOT", String(slot("foo")), "10")).toEqual([bulk("{foo}1")]);
    expect(await client.ask("CLUSTER", "GETKEYSINSLOT", String(slot("foo")), "0")).toEqual([]);
  });

  it("describes itself in the old form and the new", async () => {
    const { connect } = await startTestServer();
    const client = connect();
    const nodes = await client.ask("CLUSTER", "NODES");
    expect(JSON.stringify(nodes)).toMatch(/[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+ myself,master - 0 0 1 connected 0-/);
    expect(JSON.stringify(await client.ask("CLUSTER", "SLOTS"))).toContain("127.0.0.1");
    expect(JSON.stringify(await client.ask("CLUSTER", "SHARDS"))).toContain('"role"},{"bulk":"master"');
    expect(JSON.stringify(await client.ask("CLUSTER", "INFO"))).toContain("cluster_slots_assigned:16384");
  });
});

playSessions("commands of cluster clients", [
  [
    "are taken, and change nothing",
    [
      ["READONLY", OK],
      ["READWRITE", OK],
      ["ASKING", OK],
      ["SET a 1", OK],
      ["GET a", bulk("1")],
    ],
  ],
  [
    "refuse what is wrong",
    [
      ["CLUSTER", arity("cluster")],
      ["CLUSTER NOPE", error("ERR unknown subcommand 'NOPE'. Try CLUSTER HELP.")],
      ["CLUSTER KEYSLOT", arity("cluster|keyslot")],
      ["CLUSTER KEYSLOT foo", 12_182],
      ["CLUSTER COUNTKEYSINSLOT 16384", error("ERR Invalid slot")],
      ["CLUSTER COUNTKEYSINSLOT x", error("ERR value is not an integer or out of range")],
      ["CLUSTER GETKEYSINSLOT 1 -1", error("ERR Invalid number of keys")],
    ],
  ],
]);
