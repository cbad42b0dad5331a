// Goal: the promise API says what became of every call: values, versions, answers of conditions, errors with codes and
// outcomes. Method: three real nodes in this process over stores in memory, and forced outcomes for what is rare.
import { describe, expect, it, onTestFinished } from "vitest";
import { openNode, PlogError, PlogNode } from "../../src/index.js";
import { settingsOf } from "../../src/api/options.js";
import { freePorts } from "../ports.js";
import { freshDisk, memoryOpener } from "../server/memory-replica.js";
import { NaiveService } from "../server/naive-service.js";

async function openThree(): Promise<readonly [PlogNode, PlogNode, PlogNode]> {
  const ports = await freePorts(3);
  const nodes = Object.fromEntries(ports.map((port, index) => [`n${String(index + 1)}`, `127.0.0.1:${String(port)}`]));
  const open = async (node: string): Promise<PlogNode> => {
    const settings = settingsOf({ cluster: "test", node, data: "/nowhere", nodes });
    return new PlogNode(await memoryOpener(freshDisk(Number(node.slice(1))))(settings), settings.storage.maxValueBytes);
  };
  const three = await Promise.all([open("n1"), open("n2"), open("n3")]);
  onTestFinished(async () => {
    await Promise.all(three.map((node) => node.close()));
  });
  await expect.poll(() => three.map((node) => node.stats().state), { timeout: 5000 }).toEqual(Array(3).fill("serving"));
  return three;
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString("utf8"));

describe("three nodes", () => {
  it("read through any what was written through any other", async () => {
    const [a, b, c] = await openThree();
    expect(await a.get("k")).toBeNull();
    expect(await a.set("k", "one")).toBe(1);
    expect(text(await b.get("k"))).toBe("one");
    expect(await b.set("k", "two", { when: "absent" })).toBeNull();
    expect(await c.set("k", "two", { when: "present" })).toBe(2);
    expect(await a.getWithVersion("k")).toMatchObject({ version: 2, expiresAtMs: undefined });
    expect(await b.compareAndSet("k", "three", 1)).toBeNull();
    expect(await b.compareAndSet("k", "three", 2)).toBe(3);
    expect(await c.append("k", "!")).toBe(6);
    expect(text(await a.get("k"))).toBe("three!");
    expect(await a.delete("k")).toBe(true);
    expect(await b.delete("k")).toBe(false);
    expect(await c.has("k")).toBe(false);
  });

  it("count exactly, whoever increments", async () => {
    const nodes = await openThree();
    const adds = nodes.flatMap((node) =>
      Array.from({ length: 20 }, (_, index) => node.increment("n", index % 2 === 0 ? 1 : 2n)),
    );
    await Promise.all(adds);
    expect(await nodes[0].increment("n", 0)).toBe(90n);
    await nodes[1].set("text", "abc");
    await expect(nodes[2].increment("text")).rejects.toMatchObject({ code: "NOT_INTEGER", outcome: "not-applied" });
  });

  it("keep deadlines", async () => {
    const [a, b] = await openThree();
    const later = Date.now() + 100_000;
    await a.set("k", "v", { expiresAtMs: later });
    expect(await b.getWithVersion("k")).toMatchObject({ expiresAtMs: later });
    await b.set("k", "w", { expiresAtMs: "keep" });
    expect(await a.getWithVersion("k")).toMatchObject({ expiresAtMs: later });
    expect(await a.expire("k", null)).toBe(true);
    expect(await a.expire("k", null)).toBe(false);
    expect(await a.expire("k", 1)).toBe(true);
    expect(await b.get("k")).toBeNull();
  });

  it("show the state of a key on every replica", async () => {
    const [a] = await openThree();
    await a.set("k", "v");
    const views = await a.inspect("k");
    expect(views.map((view) => view.nodeId).sort()).toEqual(["n1", "n2", "n3"]);
    expect(Math.max(...views.map((view) => view.chosenIndex))).toBe(1);
  });

  it("refuse what comes after close", async () => {
    const [a] = await openThree();
    await a.close();
    await expect(a.set("k", "v")).rejects.toMatchObject({ code: "FAILED", outcome: "not-applied", retryable: false });
    await expect(a.get("k")).rejects.toMatchObject({ code: "FAILED", outcome: undefined });
  });
});

describe("errors", () => {
  function forced(): { node: PlogNode; service: NaiveService } {
    const service = new NaiveService();
    const settings = settingsOf({ cluster: "test", node: "n1", data: "x", nodes: { n1: "127.0.0.1:1" } });
    const never = new Promise<never>(() => undefined);
    const replica = { service, facts: {}, failed: never, close: () => Promise.resolve() };
    // The facade uses nothing of a node but its service.
    return { node: new PlogNode(replica, settings.storage.maxValueBytes), service };
  }

  it("say whether a write was applied", async () => {
    const { node, service } = forced();
    service.forceWrite = () => ({ status: "unknown", message: "lost" });
    await expect(node.set("k", "v")).rejects.toMatchObject({ code: "UNKNOWN", outcome: "unknown", retryable: false });
    service.forceWrite = () => ({ status: "not-applied", code: "NOQUORUM", message: "alone" });
    await expect(node.delete("k")).rejects.toMatchObject({ code: "NOQUORUM", outcome: "not-applied", retryable: true });
    service.forceRead = () => ({ status: "refused", code: "BUSY", message: "full" });
    await expect(node.get("k")).rejects.toMatchObject({ code: "BUSY", outcome: undefined, retryable: true });
  });

  it("name arguments that cannot be taken", async () => {
    const { node } = forced();
    await expect(node.get("k".repeat(20_000))).rejects.toMatchObject({ code: "TOO_LARGE" });
    await expect(node.set("k", new Uint8Array(17 << 20))).rejects.toMatchObject({ code: "TOO_LARGE" });
    await expect(node.increment("k", 1.5)).rejects.toMatchObject({ code: "INVALID" });
    await expect(node.compareAndSet("k", "v", -1)).rejects.toMatchObject({ code: "INVALID" });
    await expect(node.expire("k", 0.5)).rejects.toMatchObject({ code: "INVALID" });
  });

  const nodes = { n1: "127.0.0.1:7101", n2: "127.0.0.1:7102", n3: "127.0.0.1:7103" };
  it.each([
    [{ cluster: "a b", node: "n1", data: "d", nodes }, /^cluster: /],
    [{ cluster: "c", node: "n9", data: "d", nodes }, /^node: "n9" is not among the nodes/],
    [{ cluster: "c", node: "n1", data: [], nodes }, /^data: /],
    [{ cluster: "c", node: "n1", data: "d", nodes: { n1: "127.0.0.1" } }, /^nodes\.n1: /],
    [
      { cluster: "c", node: "n1", data: "d", nodes: { n1: nodes.n1, n2: nodes.n2 } },
      /^nodes: has 2 nodes; use 1, 3, 5 or 7/,
    ],
    [{ cluster: "c", node: "n1", data: "d", nodes, storage: { size: "lots" } }, /^storage\.size: /],
    [{ cluster: "c", node: "n1", data: "d", nodes, storage: { merge: { hours: "25" } } }, /^storage\.merge\.hours: /],
    [{ cluster: "c", node: "n1", data: "d", nodes, storage: { scrub: { rate: "no" } } }, /^storage\.scrub\.rate: /],
    [{ cluster: "c", node: "n1", data: "d", nodes, requestMs: 0 }, /^requestMs: /],
  ])("name the option: %j", async (options, message) => {
    const opening = openNode(options);
    await expect(opening).rejects.toBeInstanceOf(PlogError);
    await expect(opening).rejects.toMatchObject({ code: "CONFIG", message: expect.stringMatching(message) });
  });
});
