// Goal: the replicas of several groups on one node share its port, and each hears its own group only, whatever becomes of
// the others. Method: transports on loopback, as in tcp-transport.test.ts.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeFrame, FRAME_HELLO } from "../../src/net/framing.js";
import { encodeGreeting } from "../../src/net/handshake.js";
import { Bench, helloOf } from "./harness.js";

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
});

afterEach(async () => {
  await bench.close();
});

/** Node 0 with the groups 0 and 3, and node 1 in the same two. */
async function twoNodes() {
  const a0 = await bench.start(0, {}, { hello: { group: 0 } });
  const a3 = await bench.start(0, {}, { hello: { group: 3 }, on: a0.peerPort });
  const b0 = await bench.start(1, { 0: a0.port }, { hello: { group: 0 } });
  const b3 = await bench.start(1, { 0: a0.port }, { hello: { group: 3 }, on: b0.peerPort });
  await Promise.all([a0, a3].map(({ heard }) => heard.event("connected 1")));
  await Promise.all([b0, b3].map(({ heard }) => heard.event("connected 0")));
  return { a0, a3, b0, b3 };
}

describe("groups on one port", () => {
  it("have a connection each, and hear nothing of the others", async () => {
    const { a0, a3, b0, b3 } = await twoNodes();
    expect(a3.port).toBe(a0.port);
    expect(a3.heard.hellos).toEqual([helloOf(1, { group: 3 })]);
    b3.transport.send(0, Buffer.from("three"));
    b0.transport.send(0, Buffer.from("zero"));
    await Promise.all([a0, a3].map(({ heard }) => heard.until(() => heard.frames.length > 0)));
    expect(a0.heard.frames.map(({ payload }) => payload.toString())).toEqual(["zero"]);
    expect(a3.heard.frames.map(({ payload }) => payload.toString())).toEqual(["three"]);
  });

  it("end and come back without touching each other", async () => {
    const { a0, a3, b0, b3 } = await twoNodes();
    a3.transport.changeHello(helloOf(0, { group: 3, loss: 1 }));
    await b3.heard.until(() => b3.heard.hellos.length === 2);
    expect([a0.heard.count("closed"), b0.heard.count("closed")]).toEqual([0, 0]);
    await bench.stop(a3);
    await b3.heard.until(() => b3.heard.events.some((event) => event.includes("group 3 has no replica here")));
    a0.transport.send(1, Buffer.from("still there"));
    await b0.heard.until(() => b0.heard.frames.length === 1);
    expect([a0.heard.count("closed"), b0.heard.count("closed")]).toEqual([0, 0]);
  });

  it("refuse who names a group that is not here, and another cluster by its name", async () => {
    const { a0 } = await twoNodes();
    for (const [changes, reason] of [
      [{ group: 9 }, "group 9 has no replica here"],
      [{ group: 9, clusterId: "other" }, 'cluster "other" against "test"'],
    ] as const) {
      const stranger = await bench.raw(a0.port);
      stranger.socket.write(encodeFrame(FRAME_HELLO, encodeGreeting(helloOf(1, changes), 1)));
      await stranger.until(() => stranger.ended);
      expect(stranger.received.toString("latin1")).toContain(reason);
    }
  });
});
