// Goal: unmodified node-redis works, in both protocols. Method: the library against a real node.
import { createClient, RESP_TYPES } from "redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { startSingle } from "./harness.js";

async function connect(RESP: 2 | 3) {
  const server = await startSingle();
  const client = createClient({ RESP, name: "test", socket: { port: server.client.port, host: "127.0.0.1" } });
  client.on("error", (error: Error) => {
    throw error;
  });
  await client.connect();
  onTestFinished(() => {
    client.destroy();
  });
  return client;
}

describe.each([2, 3] as const)("node-redis with RESP%i", (protocol) => {
  it("reads, writes, counts and deletes", async () => {
    const client = await connect(protocol);
    expect(await client.clientGetName()).toBe("test");
    expect(await client.set("a", "1")).toBe("OK");
    expect(await client.get("a")).toBe("1");
    expect(await client.get("none")).toBeNull();
    expect(await client.set("a", "2", { condition: "NX" })).toBeNull();
    expect(await client.set("a", "2", { GET: true, expiration: { type: "EX", value: 100 } })).toBe("1");
    expect(await client.ttl("a")).toBe(100);
    expect(await client.incrBy("a", 5)).toBe(7);
    expect(await client.mSet({ b: "x", c: "y" })).toBe("OK");
    expect(await client.mGet(["a", "b", "none"])).toEqual(["7", "x", null]);
    expect(await client.del(["a", "b", "none"])).toBe(2);
    expect(await client.configGet("max*y")).toMatchObject({ maxmemory: "0", "maxmemory-policy": "noeviction" });
    expect(await client.info("plogdb")).toContain("state:serving");
    expect(await client.commandCount()).toBeGreaterThan(40);
  });

  it("pipelines what is asked in one tick, in order", async () => {
    const client = await connect(protocol);
    const replies = await Promise.all(Array.from({ length: 200 }, () => client.incr("n")));
    expect(replies).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
  });

  it("carries bytes as they are, and a value of a megabyte less a little", async () => {
    const client = await connect(protocol);
    const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const bytes = Buffer.alloc(1_000_000, "\x00\xff\r\n", "latin1");
    await client.set("big", bytes);
    expect(bytes.equals((await buffers.get("big")) ?? Buffer.alloc(0))).toBe(true);
  });

  it("does transactions on one key, and watches", async () => {
    const client = await connect(protocol);
    expect(await client.multi().set("a", "1").incrBy("a", 4).get("a").exec()).toEqual(["OK", 5, "5"]);
    await client.watch("a");
    await client.set("a", "9");
    await expect(client.multi().incr("a").exec()).rejects.toThrow(/watched keys/i);
    expect(await client.get("a")).toBe("9");
  });

  it("scans, measures and compares", async () => {
    const client = await connect(protocol);
    await client.mSet(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${String(i)}`, "v"])));
    const seen: string[] = [];
    for await (const keys of client.scanIterator({ MATCH: "k*", COUNT: 10 })) seen.push(...keys);
    expect(new Set(seen).size).toBe(100);
    expect(seen).toHaveLength(100);
    expect(await client.set("a", "1", { condition: "NX", expiration: { type: "PX", value: 100_000 } })).toBe("OK");
    expect(await client.incrByFloat("a", 0.5)).toBe("1.5");
    expect(await client.getEx("a", { type: "PERSIST" } as never)).toBe("1.5");
    expect(await client.ttl("a")).toBe(-1);
    expect(await client.getDel("a")).toBe("1.5");
    expect((await client.clientList()).map((one) => one.name)).toEqual(["test"]);
  });

  it("knows every command that the server lists", async () => {
    const client = await connect(protocol);
    const listed = await client.command();
    expect(listed.map((command) => command.name)).toContain("set");
  });
});
