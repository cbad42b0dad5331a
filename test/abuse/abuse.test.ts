// Goal: whatever clients and strangers do to a node's ports, it does not crash, its memory stays within bounds, and who behaves is served
// meanwhile. Method: three real nodes; each story is played on one of them while a witness reads and writes through that same
// node; afterwards all nodes live, and what the witness was told is there. PLOGDB_SEED replays what is random.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.js";
import { encodeFrame, FRAME_DATA, FRAME_HELLO, FRAME_WELCOME } from "../../src/net/framing.js";
import { encodeGreeting } from "../../src/net/handshake.js";
import { type Hello, PROTOCOL_VERSION } from "../../src/net/transport.js";
import { Cluster, pause } from "../cluster/harness.js";
import type { RespClient } from "../cluster/resp-client.js";

const SEED = Number(process.env["PLOGDB_SEED"] ?? Math.floor(Math.random() * 1e6));
const OPTIONS = {
  storage: "{ size: 128MiB, durability: flush, cache: 16MiB }",
  extra: "limits: { maxClients: 300, maxOutput: 4MiB }",
};
/** Beyond what the node had before the story. */
const MOST_GROWTH_MIB = 400;
/** The witness waits no longer than this for one answer: all processes share two cores. */
const WITNESS_MS = 8000;
const TIMEOUT = { timeout: 90_000 };

let cluster: Cluster;
let known: Map<string, string>;

beforeAll(async () => {
  console.log(`seed ${String(SEED)}`);
  known = new Map();
  cluster = await Cluster.start(OPTIONS);
}, 60_000);
afterAll(async () => {
  await cluster.destroy();
});

function residentMib(): number {
  const { process: victim } = cluster.node(0);
  const status = readFileSync(`/proc/${String(victim?.child.pid)}/status`, "latin1");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** A connection that nobody reads unless `read` is asked for; errors are what abuse earns. */
function open(port: number, read = true): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.once("connect", () => {
      resolve(socket);
    });
    socket.once("close", () => {
      resolve(socket);
    });
    if (read) socket.resume();
  });
}

async function send(socket: Socket, bytes: Buffer | string): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.write(bytes, () => {
      resolve();
    });
    socket.once("close", () => {
      resolve();
    });
  });
}

interface Seen {
  answered: number;
  slowestMs: number;
}

/** Reads and writes through the node until `over`; every answer must come, and be right. */
async function witness(client: RespClient, over: () => boolean): Promise<Seen> {
  const seen = { answered: 0, slowestMs: 0 };
  for (let i = 0; !over(); i++) {
    const key = `witness:${String(i % 50)}`;
    const value = `${String(i)} ${String(Math.random())}`;
    const since = performance.now();
    const answers = await Promise.all([
      client.call(["SET", key, value], WITNESS_MS),
      client.call(["GET", key], WITNESS_MS),
    ]);
    expect(answers).toEqual([
      { status: "reply", value: "OK" },
      { status: "reply", value },
    ]);
    known.set(key, value);
    seen.slowestMs = Math.max(seen.slowestMs, performance.now() - since);
    seen.answered++;
    await pause(5);
  }
  return seen;
}

async function endure(what: string, story: (ports: { client: number; peer: number }) => Promise<void>): Promise<void> {
  const { clientPort: client, peerPort: peer } = cluster.node(0).plan;
  const own = await cluster.node(0).connect();
  const before = residentMib();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, residentMib());
  }, 50);
  let over = false;
  const watching = witness(own, () => over);
  try {
    await Promise.race([story({ client, peer }), watching]);
  } finally {
    over = true;
    clearInterval(sampler);
  }
  const { answered, slowestMs } = await watching;
  own.close();
  console.log(
    `${what}: the witness was answered ${String(answered)} times, the slowest in ${slowestMs.toFixed(0)} ms; ` +
      `${before.toFixed(0)} MiB before, at most ${most.toFixed(0)}`,
  );
  expect(answered).toBeGreaterThan(0);
  expect(most - before).toBeLessThan(MOST_GROWTH_MIB);
  for (const node of cluster.nodes) expect(node.alive, node.describe()).toBe(true);
  const reader = await cluster.node(1).connect();
  for (const [key, value] of known) expect(await reader.must("GET", key)).toBe(value);
  reader.close();
}

const bulk = (text: string): string => `$${String(text.length)}\r\n${text}\r\n`;
const command = (...words: readonly string[]): string => `*${String(words.length)}\r\n${words.map(bulk).join("")}`;
const many = <T>(count: number, make: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)));

function endAll(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy();
}

describe("a node under abuse", () => {
  it("malformed requests of every kind", TIMEOUT, async () => {
    const random = new Random(SEED);
    const good = [command("SET", "a", "1"), command("GET", "a"), command("MSET", "a", "1", "b", "2"), "PING\r\n"];
    const broken = (): Buffer => {
      const bytes = Buffer.from(good.join("").repeat(1 + random.below(5)), "latin1");
      for (let i = 0; i < 1 + random.below(6); i++) bytes[random.below(bytes.length)] = random.below(256);
      return random.chance(0.3) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
    };
    await endure("malformed", async ({ client }) => {
      for (let round = 0; round < 20; round++) {
        await many(40, async () => {
          const socket = await open(client);
          await send(socket, broken());
          if (random.chance(0.5)) socket.end();
          await pause(20);
          socket.destroy();
        });
      }
    });
  });

  it("announced lengths and counts up to 2^64", TIMEOUT, async () => {
    const numbers = [
      "2147483647",
      "2147483648",
      "4294967295",
      "9007199254740993",
      "9223372036854775807",
      "18446744073709551615",
    ];
    const odd = ["-1", "-2", "+5", "05", " 5", "5 ", "1e3", "0x10", "", "9".repeat(200)];
    await endure("lengths", async ({ client }) => {
      await many(8, async () => {
        for (const number of [...numbers, ...odd]) {
          for (const bytes of [
            `*${number}\r\n`,
            `*2\r\n$3\r\nGET\r\n$${number}\r\n`,
            `*${number}\r\n$3\r\nGET\r\n$1\r\nk\r\n`,
          ]) {
            const socket = await open(client);
            await send(socket, bytes + "x".repeat(2000));
            socket.end();
            await pause(1);
            socket.destroy();
          }
        }
      });
    });
  });

  it("deep pipelines whose answers nobody reads", TIMEOUT, async () => {
    await endure("deep pipelines", async ({ client }) => {
      const seed = await cluster.node(1).connect();
      await seed.must("SET", "large", "v".repeat(100_000));
      seed.close();
      const sockets = await many(20, () => open(client, false));
      for (const socket of sockets) {
        socket.write(command("GET", "large").repeat(2000));
        socket.write(command("INCR", "deep").repeat(20_000));
      }
      await pause(4000);
      endAll(sockets);
    });
  });

  it("commands that arrive byte by byte, and never whole", TIMEOUT, async () => {
    await endure("slow senders", async ({ client }) => {
      const sockets = await many(150, () => open(client));
      const text = command("SET", "slow", "v".repeat(100));
      for (let at = 0; at < 60; at++) {
        for (const socket of sockets) if (!socket.destroyed) socket.write(text[at] ?? "");
        await pause(20);
      }
      // Half of a large value each, all of them at once.
      for (const socket of sockets)
        socket.write(`*3\r\n${bulk("SET")}${bulk("half")}$200000\r\n${"h".repeat(100_000)}`);
      await pause(1500);
      endAll(sockets);
    });
  });

  it("connections that are half open, and more of them than there may be", TIMEOUT, async () => {
    await endure("connection flood", async ({ client }) => {
      for (let round = 0; round < 3; round++) {
        const sockets = await many(600, () => open(client));
        for (const socket of sockets.slice(0, 100)) socket.end();
        await pause(300);
        endAll(sockets);
        await pause(200);
      }
    });
    const after = await cluster.node(0).connect();
    expect(await after.must("PING")).toBe("PONG");
    after.close();
  });

  it("strangers, and processes that say they are n3, at the peers' port", TIMEOUT, async () => {
    const random = new Random(SEED + 1);
    const storageId = /"storageId":"([0-9a-f]{32})"/.exec(cluster.node(2).process?.stdout ?? "")?.[1] ?? "";
    expect(storageId).not.toBe("");
    const hello = (changes: Partial<Hello>): Buffer => {
      const ids = {
        clusterId: "test",
        epoch: 1,
        group: 0,
        placement: 0,
        nodeId: "n3",
        replica: 2,
        incarnation: 1,
        storageId,
      };
      const losses = { nonce: random.next32(), loss: 0, lossAll: 0 };
      const said = { protocolVersion: PROTOCOL_VERSION, ...ids, ...losses, ...changes };
      return encodeFrame(FRAME_HELLO, encodeGreeting(said, 1_000_000 + random.below(1000)));
    };
    const kinds: readonly (() => Buffer)[] = [
      () => hello({}),
      () => hello({ incarnation: 7, storageId: "0".repeat(32) }),
      () => hello({ loss: 3, lossAll: 3 }),
      () => hello({ nodeId: "n2", replica: 1 }),
      () => hello({ protocolVersion: 4 }),
      () => {
        const bytes = hello({});
        for (let k = 0; k < 3; k++) bytes[random.below(bytes.length)] = random.below(256);
        return bytes;
      },
    ];
    await endure("peer frames", async ({ peer }) => {
      for (let round = 0; round < 12; round++) {
        await many(30, async (i) => {
          const socket = await open(peer);
          await send(socket, (kinds[i % kinds.length] ?? kinds[0])?.() ?? "");
          await pause(10);
          // Whoever was let in so far says what only a peer says.
          await send(socket, encodeFrame(FRAME_WELCOME, new Uint8Array(0)));
          const noise = Uint8Array.from({ length: 200 }, () => random.below(256));
          await send(socket, encodeFrame(FRAME_DATA, noise));
          await pause(20);
          socket.destroy();
        });
      }
    });
  });

  it("requests of every wrong kind at the HTTP port, floods of them, and bodies that never end", TIMEOUT, async () => {
    const random = new Random(SEED + 7);
    const port = cluster.node(0).plan.httpPort;
    const head = (method: string, path: string, ...lines: string[]): string =>
      `${[`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", ...lines].join("\r\n")}\r\n\r\n`;
    await endure("HTTP", async () => {
      const wrong = [
        head("GET", "/v1/keys/%"),
        head("GET", `/v1/keys/${"a".repeat(30_000)}`),
        head("PUT", "/v1/keys/http-a", "Content-Length: 18446744073709551615"),
        head("PUT", "/v1/keys/http-a", "Content-Length: -1"),
        head("PUT", "/v1/keys/http-a", "Transfer-Encoding: chunked", "Content-Length: 5"),
        head("PUT", "/v1/keys/http-a", 'If-Match: "18446744073709551616"', "Content-Length: 0"),
        head("PUT", "/v1/keys/http-a?ttlMs=99999999999999999999", "Content-Length: 0"),
        head("GET", "/v1/keys/http-a?waitMs=1e9", 'If-None-Match: "0"'),
        head("DELETE", "/v1/keys/http-a", `If-Match: ${'"1",'.repeat(1000)}"1"`),
        head("PUT", "/v1/keys/http-a", "Content-Type: application/json", "Content-Length: 9") + '{"value":',
        `${head("PUT", "/v1/keys/http-a", "Transfer-Encoding: chunked")}ffffffffffffffff\r\n`,
        head("BREW", "/v1/keys/http-a"),
        "GET /v1/keys/http-a HTTP/9.9\r\n\r\n",
      ];
      for (let round = 0; round < 20; round++) {
        const sockets = await Promise.all(wrong.map(() => open(port)));
        await Promise.all(sockets.map((socket, i) => send(socket, wrong[i] ?? "")));
        const noise = await open(port);
        await send(noise, Buffer.from(Array.from({ length: 2000 }, () => random.below(256))));
        endAll([...sockets, noise]);
      }
      // More connections than there may be, each with a body that stops half way, and waiters whose callers go away.
      const halves = await Promise.all(Array.from({ length: 400 }, () => open(port)));
      await Promise.all(
        halves.map((socket, i) =>
          send(
            socket,
            i % 2 === 0
              ? `${head("PUT", "/v1/keys/http-half", "Content-Length: 900000")}${"x".repeat(200_000)}`
              : head("GET", "/v1/keys/http-never?waitMs=60000", 'If-None-Match: "0"'),
          ),
        ),
      );
      await pause(1000);
      endAll(halves);
      await pause(500);
      const alive = await fetch(`http://127.0.0.1:${String(port)}/livez`);
      expect(alive.status).toBe(200);
      const put = await fetch(`http://127.0.0.1:${String(port)}/v1/keys/after`, { method: "PUT", body: "served" });
      expect(put.status).toBe(200);
      for (const name of ["http-a", "http-half", "http-never"]) {
        expect((await fetch(`http://127.0.0.1:${String(port)}/v1/keys/${name}`)).status, name).toBe(404);
      }
    });
  });

  it("counters at the edges of what numbers hold", TIMEOUT, async () => {
    const client = await cluster.node(0).connect();
    const edges = [
      "9007199254740991",
      "9007199254740992",
      "9223372036854775806",
      "9223372036854775807",
      "-9223372036854775808",
    ];
    for (const edge of edges) {
      for (const by of ["1", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"]) {
        await client.must("SET", "edge", edge);
        const answer = await client.call(["INCRBY", "edge", by]);
        const sum = BigInt(edge) + BigInt(by);
        const fits = sum >= -(2n ** 63n) && sum < 2n ** 63n;
        const kept = await client.must("GET", "edge");
        if (fits) expect([edge, by, kept]).toEqual([edge, by, String(sum)]);
        else {
          expect(JSON.stringify(answer)).toMatch(/overflow|not an integer|out of range/);
          expect(kept).toBe(edge);
        }
      }
    }
    client.close();
  });
});
