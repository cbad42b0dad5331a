/**
 * Goal: frames between two nodes arrive whole and in order, connections come back, and whoever is not the peer is told
 * why. Method: real transports on loopback, peers and strangers played by hand on bare sockets; every wait is for an
 * event, none for time.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeFrame, FRAME_DATA, FRAME_HELLO, FRAME_WELCOME } from "../../src/net/framing.js";
import { encodeGreeting } from "../../src/net/handshake.js";
import { type Hello, PROTOCOL_VERSION } from "../../src/net/transport.js";
import { Bench, helloOf, type RawPeer, type Running } from "./harness.js";

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
});

afterEach(async () => {
  await bench.close();
});

async function pair(limits = {}): Promise<readonly [Running, Running]> {
  const low = await bench.start(0, {}, { limits });
  const high = await bench.start(1, { 0: low.port }, { limits });
  await Promise.all([low.heard.event("connected 1"), high.heard.event("connected 0")]);
  return [low, high];
}

/** Shakes hands by hand with a transport that listens. */
async function join(port: number, hello: Hello, attempt: number): Promise<RawPeer> {
  const peer = await bench.raw(port);
  peer.socket.write(encodeFrame(FRAME_HELLO, encodeGreeting(hello, attempt)));
  await peer.until(() => peer.received.length > 0);
  peer.socket.write(encodeFrame(FRAME_WELCOME, new Uint8Array(0)));
  return peer;
}

describe("two nodes", () => {
  it("connect, and each knows who the other is", async () => {
    const [low, high] = await pair();
    expect(low.heard.hellos).toEqual([helloOf(1)]);
    expect(high.heard.hellos).toEqual([helloOf(0)]);
  });

  it("P31 connect again when one of them says something new of itself, whoever dials", async () => {
    const [low, high] = await pair();
    low.transport.changeHello(helloOf(0, { loss: 1 }));
    await high.heard.until(() => high.heard.hellos.length === 2);
    high.transport.changeHello(helloOf(1, { loss: 2, lossAll: 2 }));
    await low.heard.until(() => low.heard.hellos.at(-1)?.loss === 2);
    await high.heard.until(() => high.heard.hellos.length === 3);
    expect(high.heard.hellos.at(-1)).toEqual(helloOf(0, { loss: 1 }));
    expect(low.heard.hellos.at(-1)).toEqual(helloOf(1, { loss: 2, lossAll: 2 }));
    expect(low.transport.send(1, Buffer.from("after"))).toBe(true);
    await high.heard.until(() => high.heard.frames.length === 1);
  });

  it("exchange many frames in order, both ways", async () => {
    const [low, high] = await pair();
    const count = 5000;
    for (let i = 0; i < count; i++) {
      expect(low.transport.send(1, Buffer.from(`down ${i}`))).toBe(true);
      expect(high.transport.send(0, Buffer.from(`up ${i}`))).toBe(true);
    }
    await high.heard.until(() => high.heard.frames.length === count);
    await low.heard.until(() => low.heard.frames.length === count);
    expect(high.heard.frames.every(({ peer, payload }, i) => peer === 0 && String(payload) === `down ${i}`)).toBe(true);
    expect(low.heard.frames.every(({ peer, payload }, i) => peer === 1 && String(payload) === `up ${i}`)).toBe(true);
  });

  it("exchange large frames and empty ones", async () => {
    const [low, high] = await pair();
    const large = Buffer.alloc(17 << 20, "plog");
    expect(low.transport.send(1, large)).toBe(true);
    expect(low.transport.send(1, Buffer.alloc(0))).toBe(true);
    expect(low.transport.send(1, large)).toBe(true);
    await high.heard.until(() => high.heard.frames.length === 3);
    const [first, second, third] = high.heard.frames.map(({ payload }) => payload);
    expect(first?.equals(large)).toBe(true);
    expect(second?.length).toBe(0);
    expect(third?.equals(large)).toBe(true);
  });

  it("copy a frame before send returns", async () => {
    const [low, high] = await pair();
    const payload = Buffer.from("before");
    low.transport.send(1, payload);
    payload.fill("x");
    await high.heard.until(() => high.heard.frames.length === 1);
    expect(String(high.heard.frames[0]?.payload)).toBe("before");
  });

  it("send nothing to who is not connected, nor to themselves", async () => {
    const low = await bench.start(0);
    expect(low.transport.send(1, Buffer.from("x"))).toBe(false);
    expect(low.transport.send(0, Buffer.from("x"))).toBe(false);
    expect(low.transport.send(9, Buffer.from("x"))).toBe(false);
  });

  it("connect again after one of them disconnects, which tells the other why", async () => {
    const [low, high] = await pair();
    low.transport.disconnect(1, "not bound");
    expect(low.heard.events.at(-1)).toBe("closed 1: not bound");
    expect(low.transport.send(1, Buffer.from("x"))).toBe(false);
    expect(await high.heard.event("closed 0")).toBe("closed 0: refused by the other side: not bound");
    await low.heard.until(() => low.heard.count("connected 1") === 2);
    await high.heard.until(() => high.heard.count("connected 0") === 2);
    low.transport.send(1, Buffer.from("again"));
    await high.heard.until(() => high.heard.frames.length === 1);
  });

  it("connect again after the one that listens was away", async () => {
    const [low, high] = await pair();
    await bench.stop(low);
    await high.heard.event("closed 0");
    const back = await bench.start(0, {}, { port: low.port, hello: { incarnation: 2, nonce: 5 } });
    await back.heard.event("connected 1");
    await high.heard.until(() => high.heard.count("connected 0") === 2);
    expect(high.heard.hellos.at(-1)).toEqual(helloOf(0, { incarnation: 2, nonce: 5 }));
  });

  it("connect as soon as the one that listens is there", async () => {
    const probe = await bench.start(0);
    await bench.stop(probe);
    const high = await bench.start(1, { 0: probe.port });
    const low = await bench.start(0, {}, { port: probe.port });
    await Promise.all([low.heard.event("connected 1"), high.heard.event("connected 0")]);
    expect(high.heard.count("closed")).toBe(0);
  });

  it("may disconnect while a frame is handed over; nothing of the same piece follows", async () => {
    const [low, high] = await pair();
    high.heard.onEachFrame = () => {
      high.transport.disconnect(0, "enough");
    };
    for (let i = 0; i < 10; i++) low.transport.send(1, Buffer.from("x"));
    await low.heard.event("closed 1");
    expect(high.heard.frames).toHaveLength(1);
  });

  it("say nothing any more once they are closed", async () => {
    const [low, high] = await pair();
    const before = low.heard.events.length;
    await bench.stop(low);
    await high.heard.event("closed 0");
    expect(low.heard.events).toHaveLength(before);
    expect(low.transport.send(1, Buffer.from("x"))).toBe(false);
  });
});

describe("three nodes", () => {
  it("have one connection per pair", async () => {
    const a = await bench.start(0);
    const b = await bench.start(1, { 0: a.port });
    const c = await bench.start(2, { 0: a.port, 1: b.port });
    await a.heard.until(() => a.heard.count("connected") === 2);
    await b.heard.until(() => b.heard.count("connected") === 2);
    await c.heard.until(() => c.heard.count("connected") === 2);
    a.transport.send(2, Buffer.from("a to c"));
    b.transport.send(2, Buffer.from("b to c"));
    await c.heard.until(() => c.heard.frames.length === 2);
    expect(c.heard.frames.map(({ peer, payload }) => `${peer} ${String(payload)}`).sort()).toEqual([
      "0 a to c",
      "1 b to c",
    ]);
  });
});

describe("a peer that connects once more", () => {
  it("replaces its older connection, which ends first", async () => {
    const low = await bench.start(0);
    const old = await join(low.port, helloOf(1), 1);
    await low.heard.event("connected 1");
    const young = await join(low.port, helloOf(1, { incarnation: 2, nonce: 77 }), 1);
    await low.heard.until(() => low.heard.count("connected 1") === 2);
    expect(low.heard.events).toEqual([
      "connected 1",
      "closed 1: replaced by a newer connection of the same peer",
      "connected 1",
    ]);
    await old.end();
    young.socket.write(encodeFrame(FRAME_DATA, Buffer.from("young")));
    await low.heard.until(() => low.heard.frames.length === 1);
  });

  it("does not replace a connection that its process made later", async () => {
    const low = await bench.start(0);
    await join(low.port, helloOf(1), 5);
    await low.heard.event("connected 1");
    const stale = await bench.raw(low.port);
    stale.socket.write(encodeFrame(FRAME_HELLO, encodeGreeting(helloOf(1), 4)));
    expect(String(await stale.end())).toContain("older attempt");
    expect(low.heard.count("closed")).toBe(0);
  });

  it("does not replace anything before it ended its handshake", async () => {
    const low = await bench.start(0);
    await join(low.port, helloOf(1), 1);
    await low.heard.event("connected 1");
    const half = await bench.raw(low.port);
    half.socket.write(encodeFrame(FRAME_HELLO, encodeGreeting(helloOf(1, { nonce: 5 }), 1)));
    await half.until(() => half.received.length > 0);
    half.socket.destroy();
    await half.end();
    expect(low.heard.events).toEqual(["connected 1"]);
  });
});

describe("a node is refused, and both sides say why, when", () => {
  const cases: readonly (readonly [string, Partial<Hello>, string])[] = [
    ["it is of another cluster", { clusterId: "other" }, 'cluster "other" against "test"'],
    ["it is of another epoch", { epoch: 7 }, "configuration epoch 7 against 1"],
    ["it speaks a former version", { protocolVersion: 1 }, `protocol version 1 against ${PROTOCOL_VERSION}`],
    ["its name is not the one configured", { nodeId: "stranger" }, 'node "stranger" as replica 1: not a node'],
  ];
  for (const [claim, hello, reason] of cases) {
    it(claim, async () => {
      const low = await bench.start(0);
      const high = await bench.start(1, { 0: low.port }, { hello });
      expect(await low.heard.event("refused")).toContain(reason);
      expect(await high.heard.event("refused 0")).toContain(`refused by the other side: ${reason}`);
      expect([...low.heard.events, ...high.heard.events].filter((event) => event.startsWith("connected"))).toEqual([]);
    });
  }

  it("somebody else answers where it was dialled", async () => {
    const other = await bench.start(0, {}, { hello: { nodeId: "n0" } });
    const nodes = [
      { replica: 0, nodeId: "m0", host: "127.0.0.1", port: other.port },
      { replica: 1, nodeId: "n1", host: "127.0.0.1", port: 0 },
    ];
    const high = await bench.start(1, {}, { nodes });
    expect(await high.heard.event("refused 0")).toContain("not a node of this configuration");
    expect(await other.heard.event("refused 1")).toContain("refused by the other side");
    expect(other.heard.count("connected")).toBe(0);
  });

  it("it dialled itself", async () => {
    const probe = await bench.start(0);
    await bench.stop(probe);
    const { port } = probe;
    const nodes = [0, 1].map((replica) => ({ replica, nodeId: `n${replica}`, host: "127.0.0.1", port }));
    const high = await bench.start(1, {}, { nodes, port });
    expect(await high.heard.event("refused -1")).toContain("that is this node itself");
    expect(await high.heard.event("refused 0")).toContain("that is this node itself");
  });

  it("it dials again and again: said once", async () => {
    const low = await bench.start(0);
    const high = await bench.start(1, { 0: low.port }, { hello: { clusterId: "other" } });
    await high.heard.event("refused 0");
    await bench.stop(low);
    const back = await bench.start(0, {}, { port: low.port });
    await back.heard.event("refused 1");
    expect(high.heard.count("refused")).toBe(1);
  });
});

describe("a stranger", () => {
  it("that talks garbage is told off, and nothing else happens", async () => {
    const [low, high] = await pair();
    const stranger = await bench.raw(low.port);
    stranger.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(String(await stranger.end())).toContain("are allowed");
    expect(await low.heard.event("refused -1")).toContain("frame of");
    low.transport.send(1, Buffer.from("still here"));
    await high.heard.until(() => high.heard.frames.length === 1);
  });

  it("that says something before its hello is refused", async () => {
    const low = await bench.start(0);
    const stranger = await bench.raw(low.port);
    stranger.socket.write(encodeFrame(FRAME_DATA, Buffer.from("hello?")));
    expect(String(await stranger.end())).toContain("while greeting");
    expect(low.heard.frames).toEqual([]);
  });

  it("that says nothing is cut off", async () => {
    const low = await bench.start(0, {}, { limits: { handshakeMs: 30 } });
    const stranger = await bench.raw(low.port);
    expect(String(await stranger.end())).toContain("no handshake within 30 ms");
  });

  it("in a crowd is cut off at the bound", async () => {
    const low = await bench.start(0, {}, { limits: { halfOpen: 3 } });
    const crowd = await Promise.all(Array.from({ length: 12 }, () => bench.raw(low.port)));
    await Promise.any(crowd.map((one) => one.end()));
    expect(await low.heard.event("refused -1")).toContain("too many connections");
    expect(crowd.some((one) => !one.ended)).toBe(true);
  });

  it("is reported a bounded number of times, and then as a number", async () => {
    const low = await bench.start(0, {}, { limits: { strangerReports: 2, strangerWindowMs: 300 } });
    for (let i = 0; i < 6; i++) {
      const stranger = await bench.raw(low.port);
      stranger.socket.write("garbage, garbage");
      await stranger.end();
    }
    await low.heard.until(() => low.heard.events.some((event) => event.includes("more refusals")));
    expect(low.heard.count("refused -1: frame of")).toBeLessThan(6);
  });
});

describe("a connection ends with its reason when", () => {
  async function connectedByHand(limits = {}): Promise<readonly [Running, RawPeer]> {
    const low = await bench.start(0, {}, { limits });
    const peer = await join(low.port, helloOf(1), 1);
    await low.heard.event("connected 1");
    return [low, peer];
  }

  it("a checksum does not fit", async () => {
    const [low, peer] = await connectedByHand();
    const frame = encodeFrame(FRAME_DATA, Buffer.from("payload"));
    frame[12] = (frame[12] ?? 0) ^ 1;
    peer.socket.write(frame);
    expect(await low.heard.event("closed 1")).toBe("closed 1: checksum of a frame does not fit");
    expect(low.heard.frames).toEqual([]);
    expect(String(await peer.end())).toContain("checksum");
  });

  it("a frame is larger than allowed", async () => {
    const [low, peer] = await connectedByHand({ maxFrameBytes: 1000 });
    peer.socket.write(encodeFrame(FRAME_DATA, Buffer.alloc(1001)));
    expect(await low.heard.event("closed 1")).toContain("frame of 1001 bytes, at most 1000");
  });

  it("a frame is of an unknown kind", async () => {
    const [low, peer] = await connectedByHand();
    peer.socket.write(encodeFrame(99, Buffer.alloc(1)));
    expect(await low.heard.event("closed 1")).toContain("frame of kind 99 while open");
  });

  it("the peer goes away in the middle of a frame", async () => {
    const [low, peer] = await connectedByHand();
    peer.socket.end(encodeFrame(FRAME_DATA, Buffer.alloc(100)).subarray(0, 50));
    await low.heard.event("closed 1");
    expect(low.heard.frames).toEqual([]);
  });

  it("the peer is silent for too long", async () => {
    const [low, peer] = await connectedByHand({ keepaliveMs: 10, silentIntervals: 3 });
    expect(await low.heard.event("closed 1")).toBe("closed 1: silent for 30 ms");
    await peer.end();
  });
});

describe("bounds", () => {
  it("keep idle nodes connected by keepalives, for longer than silence is borne", async () => {
    const limits = { keepaliveMs: 20, silentIntervals: 4 };
    const [low, high] = await pair(limits);
    await join(low.port, helloOf(2), 1);
    await low.heard.event("connected 2");
    // The third, played by hand, says nothing: once it is given up, four intervals have passed for the others too.
    await low.heard.event("closed 2: silent for 80 ms");
    expect(low.heard.count("closed 1") + high.heard.count("closed")).toBe(0);
  });

  it("drop frames when the outbox of a peer is full, and take new ones when it drained", async () => {
    const low = await bench.start(0, {}, { limits: { outboxBytes: 100_000 } });
    const peer = await join(low.port, helloOf(1), 1);
    await low.heard.event("connected 1");
    peer.socket.pause();
    const frame = Buffer.alloc(10_000);
    let sent = 0;
    while (low.transport.send(1, frame)) sent++;
    expect(sent).toBe(9);
    expect(low.transport.send(1, Buffer.alloc(10))).toBe(true);
    peer.socket.resume();
    await peer.until(() => peer.received.length >= sent * frame.length);
    expect(low.transport.send(1, frame)).toBe(true);
  });

  it("do not send what the peer would refuse as too large", async () => {
    const [low, high] = await pair({ maxFrameBytes: 1000 });
    expect(low.transport.send(1, Buffer.alloc(1001))).toBe(false);
    expect(low.transport.send(1, Buffer.alloc(1000))).toBe(true);
    await high.heard.until(() => high.heard.frames.length === 1);
  });
});

describe("listening", () => {
  it("on a port that is taken is an error, not a crash", async () => {
    const low = await bench.start(0);
    await expect(bench.start(1, {}, { port: low.port })).rejects.toThrow("EADDRINUSE");
  });
});
