// Goal: unmodified ioredis works: its handshake, its pipelines, its types. Method: the library against a real node.
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { startSingle } from "./harness.js";

async function connect(): Promise<Redis> {
  const server = await startSingle();
  const redis = new Redis({ port: server.client.port, host: "127.0.0.1", connectionName: "test" });
  onTestFinished(() => {
    redis.disconnect();
  });
  return redis;
}

describe("ioredis", () => {
  it("connects by its own ready check and says its name", async () => {
    const redis = await connect();
    expect(await redis.ping()).toBe("PONG");
    expect(await redis.client("GETNAME")).toBe("test");
    expect(await redis.client("INFO")).toContain("lib-name=ioredis");
  });

  it("reads, writes, counts and deletes", async () => {
    const redis = await connect();
    expect(await redis.set("a", "1")).toBe("OK");
    expect(await redis.get("a")).toBe("1");
    expect(await redis.get("none")).toBeNull();
    expect(await redis.set("a", "2", "NX")).toBeNull();
    expect(await redis.set("a", "2", "EX", 100, "XX")).toBe("OK");
    expect(await redis.ttl("a")).toBe(100);
    expect(await redis.persist("a")).toBe(1);
    expect(await redis.incr("a")).toBe(3);
    expect(await redis.append("a", "0")).toBe(2);
    expect(await redis.strlen("a")).toBe(2);
    expect(await redis.mset({ b: "x", c: "y" })).toBe("OK");
    expect(await redis.mget("a", "b", "none")).toEqual(["30", "x", null]);
    expect(await redis.exists("a", "b", "none")).toBe(2);
    expect(await redis.del("a", "b", "none")).toBe(2);
    expect(await redis.dbsize()).toBe(1);
  });

  it("carries bytes as they are", async () => {
    const redis = await connect();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    await redis.set(bytes, bytes);
    expect(await redis.getBuffer(bytes)).toEqual(bytes);
  });

  it("pipelines in order", async () => {
    const redis = await connect();
    const pipeline = redis.pipeline();
    for (let i = 0; i < 200; i++) pipeline.incr("n").get("n");
    const results = await pipeline.exec();
    expect(results?.map(([error, value]) => [error, Number(value)])).toEqual(
      Array.from({ length: 200 }, (_, i) => [
        [null, i + 1],
        [null, i + 1],
      ]).flat(),
    );
  });

  it("reports errors as errors", async () => {
    const redis = await connect();
    await redis.set("text", "abc");
    await expect(redis.incr("text")).rejects.toThrow("ERR value is not an integer or out of range");
    await expect(redis.call("NOPE", "x")).rejects.toThrow("ERR unknown command 'NOPE', with args beginning with: 'x'");
  });

  it("does transactions on one key, and watches", async () => {
    const redis = await connect();
    expect(await redis.multi().set("a", "1").incr("a").get("a").exec()).toEqual([
      [null, "OK"],
      [null, 2],
      [null, "2"],
    ]);
    await redis.watch("a");
    await redis.set("a", "5");
    expect(await redis.multi().incr("a").exec()).toBeNull();
    await expect(redis.multi().set("a", "1").set("b", "1").exec()).rejects.toThrow("EXECABORT");
    expect(await redis.mget("a", "b")).toEqual(["5", null]);
  });

  it("scans by its stream", async () => {
    const redis = await connect();
    const names = Array.from({ length: 300 }, (_, i) => `k${String(i)}`);
    await redis.mset(Object.fromEntries([...names.map((name) => [name, "v"]), ["other", "v"]]));
    const seen: string[] = [];
    for await (const keys of redis.scanStream({ match: "k*", count: 20 })) seen.push(...(keys as string[]));
    expect(seen.toSorted()).toEqual(names.toSorted());
    expect(await redis.keys("oth*")).toEqual(["other"]);
  });

  it("sets, compares and counts in every way of a string", async () => {
    const redis = await connect();
    expect(await redis.setrange("r", 2, "xy")).toBe(4);
    expect(await redis.getrange("r", 2, -1)).toBe("xy");
    expect(await redis.incrbyfloat("f", 0.5)).toBe("0.5");
    expect(await redis.getex("f", "EX", 100)).toBe("0.5");
    expect(await redis.expire("f", 50, "GT")).toBe(0);
    expect(await redis.getdel("f")).toBe("0.5");
    expect(await redis.call("SET", "r", "new", "IFEQ", "\0\0xy")).toBe("OK");
    expect(await redis.call("DELEX", "r", "IFNE", "new")).toBe(0);
    expect(await redis.call("DIGEST", "r")).toMatch(/^[0-9a-f]{16}$/);
  });

  it("calls the commands that Redis does not have", async () => {
    const redis = await connect();
    expect(await redis.call("VSET", "v", "one", "0")).toBe(1);
    expect(await redis.call("VSET", "v", "two", "0")).toBeNull();
    expect(await redis.call("VGET", "v")).toEqual([1, "one"]);
  });
});
