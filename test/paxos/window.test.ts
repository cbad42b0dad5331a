/** Claims about the list of requests in an entry (P14). Method: entries built by hand and by folding. */
import { describe, expect, it } from "vitest";
import { type AppliedRequest, decodeEntry, type Entry, GENESIS, makeEntry, requestsOf } from "../../src/paxos/entry.js";
import { buildNoop } from "../../src/paxos/fold.js";
import { carryWindow, testRequest, WINDOW_BYTES, WINDOW_INDEXES } from "../../src/paxos/window.js";
import { set, Story } from "../../src/sim/soup/story.js";
import { entryAt, Unit } from "./unit.js";

function request(counter: number, index: number, extra: Partial<AppliedRequest> = {}): AppliedRequest {
  return { id: { replica: 1, incarnation: 1, counter }, index, refusal: null, result: null, version: index, ...extra };
}

/** One entry after the other, each with the given number of requests of its own. */
function chain(perIndex: readonly number[]): Entry {
  let base = GENESIS;
  let counter = 0;
  for (const count of perIndex) {
    const { requests, coveredFrom } = carryWindow(base);
    const index = base.index + 1;
    const own = Array.from({ length: count }, () => request(++counter, index));
    const fields = {
      index,
      tombstone: false,
      version: index,
      expiryMs: 0,
      leader: 0,
      coveredFrom,
      value: new Uint8Array(1),
    };
    base = makeEntry(fields, [...own, ...requests]);
  }
  return base;
}

describe("the list of requests", () => {
  it("P14 keeps the requests of the last indexes, newest first, and says from where it is complete", () => {
    const entry = chain(Array.from({ length: 20 }, () => 1));
    expect(requestsOf(entry).map(({ index }) => index)).toEqual([20, 19, 18, 17, 16, 15, 14, 13]);
    expect(entry.coveredFrom).toBe(20 - WINDOW_INDEXES + 1);
  });

  it("P14 never keeps half of an index: what it covers is complete", () => {
    for (const shape of [
      [50, 50, 50],
      [64, 1, 1],
      [1, 64, 1],
      [30, 30, 1, 1],
    ]) {
      const entry = chain(shape);
      const kept = new Map<number, number>();
      for (const { index } of requestsOf(entry)) kept.set(index, (kept.get(index) ?? 0) + 1);
      for (let index = entry.coveredFrom; index <= entry.index; index++) expect(kept.get(index)).toBe(shape[index - 1]);
      for (const index of kept.keys()) expect(index).toBeGreaterThanOrEqual(entry.coveredFrom);
    }
  });

  it("P14 a full fold of one node fits into the list of the next entry", () => {
    expect(chain([64, 1]).coveredFrom).toBe(1);
  });

  it("P14 is bounded in bytes", () => {
    const entry = chain(Array.from({ length: 12 }, () => 40));
    const { requests } = carryWindow(entry);
    expect(requests.length * 4).toBeLessThan(WINDOW_BYTES);
    expect(entry.bytes.length).toBeLessThan(2 * WINDOW_BYTES);
  });

  it("P14 a request in the list is OK with its recorded result, or FAILED with its recorded reason", () => {
    const list = [request(7, 3, { result: "12" }), request(6, 3, { refusal: "exists", version: 2 })];
    const entry = entryAt(3, "x", 0, list);
    const told = (counter: number): unknown =>
      testRequest(entry, requestsOf(entry), { replica: 1, incarnation: 1, counter }, 1);
    expect(told(7)).toEqual({ kind: "decided", outcome: { status: "ok", index: 3, version: 3, result: "12" } });
    expect(told(6)).toMatchObject({ kind: "decided", outcome: { status: "failed", reason: "exists", version: 2 } });
  });

  it("P14 a request that the list no longer covers is unknown, one that it covers is open", () => {
    const entry = chain(Array.from({ length: 20 }, () => 1));
    const list = requestsOf(entry);
    const id = { replica: 2, incarnation: 1, counter: 1 };
    expect(testRequest(entry, list, id, 12).kind).toBe("unknown");
    expect(testRequest(entry, list, id, 13).kind).toBe("open");
    expect(testRequest(entry, list, id, 21).kind).toBe("open");
    expect(testRequest(entry, list, id, 0).kind).toBe("open");
  });

  it("P14 ids differ by replica and by incarnation", () => {
    const entry = entryAt(3, "x", 0, [request(7, 3)]);
    const list = requestsOf(entry);
    expect(testRequest(entry, list, { replica: 2, incarnation: 1, counter: 7 }, 1).kind).toBe("open");
    expect(testRequest(entry, list, { replica: 1, incarnation: 2, counter: 7 }, 1).kind).toBe("open");
  });

  it("P14, P20 a no-op carries the list on, and keeps value and version", () => {
    const unit = new Unit(0);
    unit.learn(entryAt(3, "x", 0, [request(7, 3), request(5, 2)]));
    const noop = buildNoop(unit.self.context, unit.lane);
    expect(noop).toMatchObject({ index: 4, version: 3, tombstone: false });
    expect(noop.value).toEqual(unit.lane.plog.chosen.value);
    expect(requestsOf(noop).map(({ id }) => id.counter)).toEqual([7, 5]);
  });

  it("P24 a tombstone carries the list and the version on", () => {
    const story = new Story();
    story.ask(0, set("a"));
    story.run();
    story.ask(0, { kind: "delete" });
    story.run();
    const { chosen } = story.lane(0).plog;
    expect(chosen).toMatchObject({ index: 2, tombstone: true, version: 2 });
    expect(chosen.value.length).toBe(0);
    expect(requestsOf(chosen).length).toBe(2);
  });

  it("survives its encoding: ids of several nodes, results of every kind", () => {
    const list = [
      request(9, 5, { result: 17 }),
      request(2, 5, { result: "-123" }),
      { ...request(1_000_000, 4, { refusal: "version", version: 0 }), id: { replica: 0, incarnation: 44, counter: 3 } },
      request(8, 4, { result: "large" }),
    ] satisfies AppliedRequest[];
    const entry = entryAt(5, "value", 2, list);
    const again = decodeEntry(entry.bytes);
    expect(again).toMatchObject({ index: 5, leader: 2, version: 5, hash: entry.hash });
    expect(again === null ? [] : requestsOf(again)).toEqual(list);
  });

  it("an entry cut short or with a byte too many in its list is no entry, and nothing throws", () => {
    const { bytes } = entryAt(5, "", 2, [request(9, 5, { result: "text" }), request(8, 4)]);
    for (let length = 0; length < bytes.length; length++) expect(decodeEntry(bytes.subarray(0, length))).toBeNull();
    for (let at = 0; at < bytes.length; at++) {
      const broken = bytes.slice();
      broken[at] = 255;
      const decoded = decodeEntry(broken);
      if (decoded !== null) expect(() => requestsOf(decoded)).not.toThrow();
    }
  });
});
