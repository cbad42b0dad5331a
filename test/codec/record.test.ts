/**
 * Goal: what a replica recorded of a key is what it finds again, and what it cannot believe makes it a learner of that
 * key (P4, P13, P30). Method: the truth table of src/codec/record.ts row by row, each row through loadPLog and stateOf;
 * random records there and back; changed headers and values.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import {
  CLASS_DELETED,
  CLASS_LIVE,
  CLASS_NOTHING,
  encodeHeader,
  heldState,
  type KeyRecords,
  loadPLog,
  markHeader,
  RECORD_HEADER_BYTES,
  type RecordSlot,
  recordValue,
  stateOf,
} from "../../src/codec/record.js";
import { type Ballot, compareBallots, NO_BALLOT, ordinaryBallot, zeroBallot } from "../../src/paxos/ballot.js";
import type { RecordWrite } from "../../src/paxos/effects.js";
import { type Entry, GENESIS, makeEntry } from "../../src/paxos/entry.js";
import { emptyPLog, leaderOf, type PLog } from "../../src/paxos/plog.js";
import { HEADER_BYTES } from "../../src/storage/store.js";
import { entryAt, REPLICAS } from "./arbitraries.js";

const CONTEXT = { replicas: REPLICAS, loss: 0, lossAll: 0, lossOpen: false };

const KEY = userKey("k");
const LOW = zeroBallot(1, 9);
const HIGH = ordinaryBallot(4, 2, 7);

function entry(index: number, text: string, leader = 2): Entry {
  const value = new TextEncoder().encode(text);
  return makeEntry({ index, tombstone: false, version: index, expiryMs: 0, leader, coveredFrom: 1, value }, []);
}

/** An undecided position with an accepted entry. */
function accepted(at: Entry, base: Entry | null, ballot: Ballot = LOW): RecordWrite {
  return {
    index: at.index,
    floor: at.index - 1,
    promised: ballot,
    accepted: ballot,
    entry: at,
    proposer: 1,
    chosen: false,
    baseHash: base?.hash ?? 0,
    learner: false,
    votesFrom: 0,
    loss: 0,
    live: true,
  };
}

function promised(index: number, base: Entry | null, ballot: Ballot = HIGH): RecordWrite {
  return {
    index,
    floor: index - 1,
    promised: ballot,
    accepted: NO_BALLOT,
    entry: null,
    proposer: 0,
    chosen: false,
    baseHash: base?.hash ?? 0,
    learner: false,
    votesFrom: 0,
    loss: 0,
    live: index > 1,
  };
}

/** A chosen entry that was fetched: its ballot is not known. */
function learned(at: Entry): RecordWrite {
  return {
    ...accepted(at, null),
    floor: at.index,
    promised: NO_BALLOT,
    accepted: NO_BALLOT,
    chosen: true,
    proposer: 0,
  };
}

function slotOf(write: RecordWrite): RecordSlot {
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  encodeHeader(write, header);
  return { position: write.index, header, value: recordValue(write) };
}

function marked(slot: RecordSlot): RecordSlot {
  return { ...slot, header: markHeader(slot.header) };
}

const UNUSED: RecordSlot = { position: 0, header: new Uint8Array(RECORD_HEADER_BYTES), value: null };

function records(...slots: readonly RecordSlot[]): KeyRecords {
  const [first = UNUSED, second = UNUSED] = slots;
  return { slots: slots.length === 2 ? 2 : slots.length === 1 ? 1 : 0, corrupt: false, slot: [first, second] };
}

function plog(fields: Partial<PLog>): PLog {
  return { ...emptyPLog(), ...fields };
}

const BASE = entry(4, "base", 0);
const NEXT = entry(5, "next", 2);
const FIRST = entry(1, "first", 1);

const rows: readonly (readonly [string, KeyRecords, PLog])[] = [
  ["nothing recorded is an empty PLog", records(), plog({})],
  ["a bare promise at index 1 stands on genesis", records(slotOf(promised(1, null))), plog({ promised: HIGH })],
  [
    "an entry accepted at index 1 stands on genesis",
    records(slotOf(accepted(FIRST, null))),
    plog({ promised: LOW, accepted: LOW, acceptedEntry: FIRST, acceptedProposer: 1 }),
  ],
  [
    "an accepted entry under a higher promise keeps both ballots",
    records(slotOf({ ...accepted(FIRST, null), promised: HIGH })),
    plog({ promised: HIGH, accepted: LOW, acceptedEntry: FIRST, acceptedProposer: 1 }),
  ],
  [
    "an entry marked as chosen was chosen at the ballot it was accepted at",
    records(marked(slotOf(accepted(NEXT, BASE)))),
    plog({ chosen: NEXT, chosenBallot: LOW }),
  ],
  [
    "what is below a chosen entry does not matter",
    records(slotOf(accepted(BASE, null)), marked(slotOf(accepted(NEXT, BASE)))),
    plog({ chosen: NEXT, chosenBallot: LOW }),
  ],
  ["an entry recorded as chosen has no known ballot", records(slotOf(learned(NEXT))), plog({ chosen: NEXT })],
  [
    "P4: a promise above an accepted entry proves that the entry was chosen, at a ballot that is not known",
    records(slotOf(accepted(BASE, entry(3, "before"))), slotOf(promised(5, BASE))),
    plog({ chosen: BASE, promised: HIGH }),
  ],
  [
    "P4: an accepted entry above another proves that the other was chosen",
    records(slotOf(accepted(BASE, entry(3, "before"))), slotOf(accepted(NEXT, BASE))),
    plog({ chosen: BASE, promised: LOW, accepted: LOW, acceptedEntry: NEXT, acceptedProposer: 1 }),
  ],
  [
    "a base that was marked keeps the ballot it was chosen at",
    records(marked(slotOf(accepted(BASE, null))), slotOf(promised(5, BASE))),
    plog({ chosen: BASE, chosenBallot: LOW, promised: HIGH }),
  ],
  [
    "a base that was fetched has no known ballot",
    records(slotOf(learned(BASE)), slotOf(promised(5, BASE))),
    plog({ chosen: BASE, promised: HIGH }),
  ],
  [
    "P30: a learner stays one by its chosen record",
    records(slotOf({ ...learned(NEXT), learner: true })),
    plog({ chosen: NEXT, learner: true }),
  ],
  [
    "P30: a learner stays one by the base",
    records(slotOf({ ...learned(BASE), learner: true }), slotOf(promised(5, BASE))),
    plog({ chosen: BASE, promised: HIGH, learner: true }),
  ],
  [
    "P31: a record that lifts the limit ends it",
    records(slotOf({ ...learned(BASE), learner: true }), marked(slotOf(accepted(NEXT, BASE)))),
    plog({ chosen: NEXT, chosenBallot: LOW }),
  ],
];

function changed(slot: RecordSlot, at: number, byte: number): RecordSlot {
  const header = slot.header.slice();
  header[at] = byte;
  return { ...slot, header };
}

const top = slotOf(accepted(NEXT, BASE));
const base = slotOf(accepted(BASE, null));
const damages: readonly (readonly [string, KeyRecords])[] = [
  ["the engine calls a record broken", { ...records(base, top), corrupt: true }],
  [
    "P13: the base is another entry than the one that was built on",
    records(slotOf(accepted(entry(4, "other", 0), null)), top),
  ],
  ["P13: even a marked base is another entry", records(marked(slotOf(accepted(entry(4, "other", 0), null))), top)],
  ["the base of an undecided position is missing", records(top)],
  ["the base is not the position below", records(slotOf(accepted(entry(3, "base", 0), null)), top)],
  ["the base has no entry", records(slotOf(promised(4, entry(3, "x"))), top)],
  ["index 1 names a base", records(slotOf(accepted(FIRST, BASE)))],
  ["positions do not rise", records(top, top)],
  ["position 0 is recorded", records({ ...slotOf(promised(1, null)), position: 0 })],
  ["the format is not known", records(base, changed(top, 2, 2))],
  ["the class is not known", records(base, changed(top, 0, 4))],
  ["there are unknown flags", records(base, changed(top, 1, 12))],
  ["a proposer is not of the group", records(base, changed(top, 3, 3))],
  ["a leader is not of the group", records(base, changed(top, 4, 3))],
  ["a ballot's replica is not of the group", records(base, changed(top, 15, 3))],
  ["a counter is not below 2^53", records(base, changed(top, 14, 0x20))],
  ["an incarnation is not below 2^53", records(base, changed(top, 23, 1))],
  ["something chosen has no entry", records(changed(slotOf(promised(1, null)), 1, 1))],
  ["an entry has no accepted ballot", records(changed(slotOf(promised(1, null)), 1, 4))],
  ["the header is short", records({ ...slotOf(promised(1, null)), header: new Uint8Array(10) })],
  ["P1: the accepted ballot is above the promised one", records(base, changed(changed(top, 24, 9), 31, 0))],
];

const damagedValues: readonly (readonly [string, KeyRecords])[] = [
  ["the value is another entry than the header's", records(marked({ ...top, value: entry(5, "else", 2).bytes }))],
  ["the base's value is another entry", records({ ...base, value: entry(4, "else", 0).bytes }, top)],
  ["the accepted value is another entry", records(base, { ...top, value: entry(5, "else", 2).bytes })],
  ["the value is no entry", records(base, { ...top, value: new Uint8Array([1, 2, 3]) })],
  ["the entry stands at another position", records(marked({ ...top, position: 6 }))],
  ["the entry names another leader", records(marked(changed(top, 4, 1)))],
];

describe("loading a key", () => {
  for (const [claim, loaded, expected] of rows) {
    it(claim, () => {
      expect(loadPLog(loaded, CONTEXT)).toEqual({ kind: "ready", plog: expected });
    });

    it(`${claim}; its state is told from the headers`, () => {
      const bare = loaded.slot.map((slot) => ({ ...slot, value: null })) as [RecordSlot, RecordSlot];
      expect(stateOf(KEY, { ...loaded, slot: bare }, CONTEXT)).toEqual({
        chosenIndex: expected.chosen.index,
        chosenBallot: expected.chosenBallot,
        leader: leaderOf(KEY, expected.chosen, REPLICAS),
        accepted: expected.accepted,
        proposer: expected.acceptedProposer,
        votes: !expected.learner,
      });
    });
  }

  for (const [claim, loaded] of damages) {
    it(`makes a learner who knows nothing of it when ${claim}`, () => {
      expect(loadPLog(loaded, CONTEXT)).toEqual({
        kind: "damaged",
        plog: plog({ learner: true, loss: 1 }),
        reason: expect.any(String),
      });
      expect(stateOf(KEY, loaded, CONTEXT)).toBeNull();
    });
  }

  for (const [claim, loaded] of damagedValues) {
    it(`makes a learner who knows nothing of it when ${claim}`, () => {
      expect(loadPLog(loaded, CONTEXT)).toMatchObject({ kind: "damaged", plog: { learner: true, chosen: GENESIS } });
    });
  }

  it("P31 tells peers that it has no vote where it was restored for later positions only", () => {
    const votes = (write: RecordWrite): unknown => heldState(write.index, slotOf(write).header, CONTEXT)?.votes;
    expect(votes({ ...learned(NEXT), votesFrom: 6 })).toBe(true);
    expect(votes({ ...learned(NEXT), votesFrom: 7 })).toBe(false);
    expect(votes({ ...promised(5, BASE), votesFrom: 5 })).toBe(true);
    expect(votes({ ...promised(5, BASE), votesFrom: 6 })).toBe(false);
    expect(votes({ ...learned(NEXT), learner: true })).toBe(false);
  });

  it("asks for the values it needs, one after the other, and for no other", () => {
    const onDisk = (slot: RecordSlot): RecordSlot => ({ ...slot, value: null });
    expect(loadPLog(records(onDisk(base), onDisk(top)), CONTEXT)).toEqual({ kind: "needs-value", position: 4 });
    expect(loadPLog(records(base, onDisk(top)), CONTEXT)).toEqual({ kind: "needs-value", position: 5 });
    expect(loadPLog(records(onDisk(marked(top))), CONTEXT)).toEqual({ kind: "needs-value", position: 5 });
    expect(loadPLog(records(onDisk(base), marked(top)), CONTEXT)).toMatchObject({ kind: "ready" });
    expect(loadPLog(records(base, onDisk(slotOf(promised(5, BASE)))), CONTEXT)).toMatchObject({ kind: "ready" });
    expect(loadPLog(records(onDisk(slotOf(promised(1, null)))), CONTEXT)).toMatchObject({ kind: "ready" });
  });

  it("finds damage of headers before it asks for a value", () => {
    const other = { ...slotOf(accepted(entry(4, "other", 0), null)), value: null };
    expect(loadPLog(records(other, { ...top, value: null }), CONTEXT)).toMatchObject({ kind: "damaged" });
  });
});

describe("a record", () => {
  it("has a header of the size that storage keeps", () => {
    expect(RECORD_HEADER_BYTES).toBe(HEADER_BYTES);
  });

  it("counts as live, as deleted, or as nothing yet", () => {
    const classOf = (write: RecordWrite): number | undefined => slotOf(write).header[0];
    expect(classOf(accepted(NEXT, BASE))).toBe(CLASS_LIVE);
    expect(classOf({ ...accepted(NEXT, BASE), live: false })).toBe(CLASS_DELETED);
    expect(classOf(promised(5, BASE))).toBe(CLASS_LIVE);
    expect(classOf({ ...promised(5, BASE), live: false })).toBe(CLASS_DELETED);
    expect(classOf(promised(1, null))).toBe(CLASS_NOTHING);
  });

  it("is read as it was written, at the ends of every range", () => {
    // A counter is written with one added, so that no ballot at all is zero: the largest one is one below the range.
    const last = Number.MAX_SAFE_INTEGER - 1;
    const wide = fc.oneof(
      fc.nat(10),
      fc.maxSafeNat().map((value) => Math.min(value, last)),
      fc.constant(last),
    );
    const ballot = fc.record({ counter: wide, replica: fc.nat(REPLICAS - 1), incarnation: wide });
    fc.assert(
      fc.property(ballot, ballot, fc.nat(REPLICAS - 1), entryAt(1), (one, other, proposer, first) => {
        const [low, high] = compareBallots(one, other) <= 0 ? [one, other] : [other, one];
        const write = { ...accepted(first, null), promised: high, accepted: low, proposer };
        expect(loadPLog(records(slotOf(write)), CONTEXT)).toEqual({
          kind: "ready",
          plog: plog({ promised: high, accepted: low, acceptedEntry: first, acceptedProposer: proposer }),
        });
      }),
    );
  });

  it("never throws and never yields what is out of range, however its header was changed", () => {
    const change = fc.record({ at: fc.nat(RECORD_HEADER_BYTES - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), fc.boolean(), (changes, below) => {
        let one = top;
        let two = base;
        for (const { at, byte } of changes) {
          if (below) two = changed(two, at, byte);
          else one = changed(one, at, byte);
        }
        const outcome = loadPLog(records(two, one), CONTEXT);
        const state = stateOf(KEY, records(two, one), CONTEXT);
        if (outcome.kind === "ready") {
          expect(state).not.toBeNull();
          for (const found of [outcome.plog.promised, outcome.plog.accepted, outcome.plog.chosenBallot]) {
            expect(found.replica).toBeLessThan(REPLICAS);
            expect(Number.isSafeInteger(found.counter) && Number.isSafeInteger(found.incarnation)).toBe(true);
          }
        } else if (state === null) {
          expect(outcome.kind).toBe("damaged");
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("P31 says from the headers whether the writer votes exactly as the whole record does", () => {
    const standing = fc.record({ learner: fc.boolean(), votesFrom: fc.nat(7), loss: fc.nat(3) });
    const disk = fc.record({ loss: fc.constant(3), lossAll: fc.nat(3), lossOpen: fc.boolean() });
    const places = fc.constantFrom("none", "base", "both", "marked");
    fc.assert(
      fc.property(standing, standing, disk, places, (below, above, losses, place) => {
        const context = { ...CONTEXT, ...losses };
        const low = slotOf({ ...learned(BASE), ...below });
        const high = slotOf({ ...accepted(NEXT, BASE), ...above });
        const all = { none: records(), base: records(low), both: records(low, high), marked: records(marked(high)) };
        const outcome = loadPLog(all[place], context);
        expect(outcome.kind).toBe("ready");
        if (outcome.kind !== "ready") return;
        const { learner, votesFrom, chosen, loss } = outcome.plog;
        expect(stateOf(KEY, all[place], context)?.votes).toBe(!learner && chosen.index + 1 >= votesFrom);
        expect(loss).toBeGreaterThanOrEqual(losses.lossAll);
      }),
    );
  });

  it("is marked in a copy", () => {
    const header = top.header.slice();
    const copy = markHeader(header);
    expect(header).toEqual(top.header);
    expect(copy).not.toEqual(header);
    expect(markHeader(copy)).toEqual(copy);
    expect(() => markHeader(slotOf(promised(5, BASE)).header)).toThrow("P13");
  });
});
