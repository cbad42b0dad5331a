/** Goal: who is not the peer that is expected is refused with a reason that says why. Method: one difference at a time. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeGreeting,
  decodeReason,
  encodeGreeting,
  encodeReason,
  judgeHello,
  MAX_HANDSHAKE_BYTES,
} from "../../src/net/handshake.js";
import { type Hello, PROTOCOL_VERSION } from "../../src/net/transport.js";
import { helloOf } from "./harness.js";

const NODES = [0, 1, 2].map((replica) => ({ replica, nodeId: `n${replica}`, host: "127.0.0.1", port: 1 }));

describe("a hello", () => {
  it("is read as it was said", () => {
    const hello = helloOf(2, {
      clusterId: "käse",
      epoch: 2 ** 53 - 1,
      group: 5,
      placement: 2 ** 32 - 1,
      incarnation: 7,
      nonce: 2 ** 53 - 1,
    });
    expect(decodeGreeting(encodeGreeting(hello, 12))).toEqual({ hello, attempt: 12 });
  });

  it("fits its bound with the longest names", () => {
    const longest = "n".repeat(255);
    expect(encodeGreeting(helloOf(1, { clusterId: longest, nodeId: longest }), 1).length).toBeLessThan(
      MAX_HANDSHAKE_BYTES,
    );
  });

  it("of another version is refused before the rest is read", () => {
    const bytes = encodeGreeting(helloOf(1, { protocolVersion: 9 }), 1);
    expect(decodeGreeting(bytes.subarray(0, 12))).toBe(`protocol version 9 against ${PROTOCOL_VERSION}`);
  });

  it("without the magic is nobody's", () => {
    expect(decodeGreeting(Buffer.from("GET / HTTP/1.1\r\n"))).toBe("not a peer of this protocol");
  });

  it("never throws when it was cut or changed", () => {
    const whole = encodeGreeting(helloOf(1), 3).slice();
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (cut, at, byte) => {
        expect(typeof decodeGreeting(whole.subarray(0, cut))).toBe(cut === whole.length ? "object" : "string");
        const changed = whole.slice();
        changed[at] = byte;
        decodeGreeting(changed);
      }),
    );
  });
});

describe("a peer is", () => {
  const own = helloOf(1);
  const cases: readonly (readonly [string, Partial<Hello> & { replica: number }, number | null, RegExp | null])[] = [
    ["welcome when it dials with a higher number", { replica: 2 }, null, null],
    ["welcome when it was dialled", { replica: 0 }, 0, null],
    [
      "refused when it is of another cluster",
      { replica: 2, clusterId: "other" },
      null,
      /cluster "other" against "test"/,
    ],
    ["refused when it is of another epoch", { replica: 2, epoch: 2 }, null, /epoch 2 against 1/],
    ["refused when it is of another group", { replica: 2, group: 1 }, null, /group 1 of another placement/],
    ["refused when its placement differs", { replica: 2, placement: 9 }, null, /names other nodes or zones/],
    ["refused when its name is not known", { replica: 2, nodeId: "n9" }, null, /"n9" as replica 2: not a node/],
    ["refused when its name has another number", { replica: 2, nodeId: "n0" }, null, /not a node/],
    ["refused when its number is not known", { replica: 3 }, null, /not a node/],
    ["refused when it is this process", { replica: 1 }, null, /that is this node itself/],
    ["refused when it says to be this node", { replica: 1, nonce: 5 }, null, /this node's own number/],
    ["refused when it dials with a lower number", { replica: 0 }, null, /the higher number dials/],
    ["refused when another one was dialled", { replica: 2 }, 0, /replica 0 was expected/],
  ];
  for (const [claim, { replica, ...changes }, expected, reason] of cases) {
    it(claim, () => {
      const verdict = judgeHello(helloOf(replica, changes), own, NODES, expected);
      if (reason === null) expect(verdict).toBeNull();
      else expect(verdict).toMatch(reason);
    });
  }
});

describe("a reason", () => {
  it("is cut and made fit for logs", () => {
    expect(decodeReason(encodeReason("x".repeat(5000)))).toBe("x".repeat(300));
    expect(decodeReason(Buffer.from("a\nb\u001b[31m"))).toBe("a?b?[31m");
  });
});
