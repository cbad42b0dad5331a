/**
 * Goal: whatever bytes pass for an entry can be proposed upon: its list of requests can be carried on and encoded again, so
 * that a peer's bytes never break an assertion of ours. Method: entries that were made, with bytes changed at random.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeEntry, makeEntry, requestsOf } from "../../src/paxos/entry.js";
import { carryWindow } from "../../src/paxos/window.js";
import { entryAt } from "../codec/arbitraries.js";

const change = fc.record({ at: fc.nat(200), byte: fc.nat(255) });

describe("an entry from a peer", () => {
  it("can be carried on, or is refused", () => {
    let passed = 0;
    fc.assert(
      fc.property(entryAt(9), fc.array(change, { maxLength: 3 }), (entry, changes) => {
        const bytes = entry.bytes.slice();
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
        const decoded = decodeEntry(bytes);
        if (decoded === null) return;
        passed++;
        const { requests, coveredFrom } = carryWindow(decoded);
        const index = decoded.index + 1;
        const { version, expiryMs, leader } = decoded;
        const fields = { index, tombstone: true, version, expiryMs, leader, coveredFrom, value: new Uint8Array(0) };
        const next = makeEntry(fields, requests);
        const again = decodeEntry(next.bytes);
        expect(again).not.toBe(null);
        expect(requestsOf(next)).toEqual(requests);
      }),
      { numRuns: 2000 },
    );
    expect(passed).toBeGreaterThan(200);
  });

  it("keeps counters apart that lie too far from each other for a difference", () => {
    const request = { index: 1, refusal: null, result: null, version: 1 };
    const ids = [0, Number.MAX_SAFE_INTEGER, 3].map((counter) => ({ replica: 0, incarnation: 1, counter }));
    const fields = { index: 1, tombstone: true, version: 1, expiryMs: 0, leader: 0, coveredFrom: 1 };
    const entry = makeEntry(
      { ...fields, value: new Uint8Array(0) },
      ids.map((id) => ({ ...request, id })),
    );
    const decoded = decodeEntry(entry.bytes);
    expect(decoded === null ? [] : requestsOf(decoded).map(({ id }) => id)).toEqual(ids);
  });
});
