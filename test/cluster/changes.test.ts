// Goal: a change through one node is heard at every other: by who waits for the key, and by who subscribed; also when a node is
// dead. Method: three real nodes, waiters and subscribers at all of them.
import { describe, expect, it } from "vitest";
import { withCluster } from "./harness.js";
import type { RespClient } from "./resp-client.js";

const WRITES = 40;

describe("changes on three real nodes", () => {
  it("are heard at every node, one by one by a waiter that asks again with what it saw", {
    timeout: 60_000,
  }, async () => {
    await withCluster({}, async (cluster) => {
      const seen: number[][] = await Promise.all(
        cluster.nodes
          .map(async (node) => {
            const client = await node.connect();
            const versions: number[] = [];
            for (let version = 0; version < WRITES; ) {
              const answer = await client.call(["VWAIT", "watched", String(version), "20000"], 30_000);
              if (answer.status !== "reply" || !Array.isArray(answer.value)) throw new Error(JSON.stringify(answer));
              version = Number(answer.value[0]);
              versions.push(version);
            }
            client.close();
            return versions;
          })
          .concat([
            (async () => {
              const writer = await cluster.node(0).connect();
              for (let i = 0; i < WRITES; i++) await writer.must("INCR", "watched");
              writer.close();
              return [];
            })(),
          ]),
      );
      for (const versions of seen.slice(0, 3)) {
        expect(versions).toEqual(versions.toSorted((a, b) => a - b));
        expect(new Set(versions).size).toBe(versions.length);
        expect(versions.at(-1)).toBe(WRITES);
      }
      console.log(
        `of ${String(WRITES)} changes seen: ${seen
          .slice(0, 3)
          .map((versions) => String(versions.length))
          .join(", ")}`,
      );

      await cluster.node(0).kill();
      const [waiter, writer] = [await cluster.node(1).connect(), await cluster.node(2).connect()];
      const waiting = waiter.call(["VWAIT", "watched", String(WRITES), "20000"], 30_000);
      await writer.must("SET", "watched", "after");
      expect(await waiting).toMatchObject({ value: [WRITES + 1, "after"] });
      for (const client of [waiter, writer]) client.close();
    });
  });

  it("are told to subscribers of every node", { timeout: 60_000 }, async () => {
    await withCluster({}, async (cluster) => {
      const heard = cluster.nodes.map(() => new Set<string>());
      const clients: RespClient[] = [];
      for (const [i, node] of cluster.nodes.entries()) {
        const operator = await node.connect();
        await operator.must("CONFIG", "SET", "notify-keyspace-events", "E$");
        operator.close();
        const client = await node.connect();
        clients.push(client);
        await client.must("SUBSCRIBE", "__keyevent@0__:set");
        const listen = async (): Promise<void> => {
          for (;;) {
            const message = await client.next();
            if (!Array.isArray(message)) return;
            heard[i]?.add(String(message[2]));
          }
        };
        void listen();
      }
      const writer = await cluster.node(0).connect();
      const keys = Array.from({ length: WRITES }, (_, i) => `key:${String(i)}`);
      for (const key of keys) await writer.must("SET", key, "1");
      const endMs = performance.now() + 10_000;
      while (heard.some(({ size }) => size < WRITES) && performance.now() < endMs) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const names of heard) expect([...names].toSorted()).toEqual(keys.toSorted());
      for (const client of [...clients, writer]) client.close();
    });
  });
});
