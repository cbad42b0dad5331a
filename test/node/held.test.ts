// Goal: nothing leaves before the flush behind it (P2): what is held is found under the token of its batch, in order.
import { describe, expect, it } from "vitest";
import { userKey } from "../../src/base/key.js";
import { HeldMessages } from "../../src/node/held.js";
import { type LaneSlot, LaneTable } from "../../src/node/lane-table.js";
import type { Envelope } from "../../src/paxos/effects.js";
import { newLane } from "../../src/paxos/lane.js";
import { emptyPLog } from "../../src/paxos/plog.js";

function slotOf(name: string): LaneSlot {
  return new LaneTable().add(newLane(userKey(name), emptyPLog()));
}

function envelope(index: number): Envelope {
  return { to: 1, message: { type: "fetch", key: userKey("k"), index, settle: false } };
}

describe("held messages", () => {
  it("are given back with their batch and no earlier", () => {
    const held = new HeldMessages();
    held.hold(envelope(1), held.nextToken);
    held.submitted(1);
    held.hold(envelope(2), held.nextToken);
    held.submitted(2);
    expect(held.pending).toBe(2);
    expect(held.takeUpTo(0)).toBe(null);
    expect(held.takeUpTo(1)?.envelopes).toEqual([envelope(1)]);
    expect(held.takeUpTo(1)).toBe(null);
    expect([held.hasEnded(1), held.hasEnded(2)]).toEqual([true, false]);
    expect(held.takeUpTo(2)?.envelopes).toEqual([envelope(2)]);
    expect(held.pending).toBe(0);
  });

  it("come in the order of their batches when several end at once", () => {
    const held = new HeldMessages();
    for (const token of [1, 2, 3]) {
      held.hold(envelope(token), token);
      held.submitted(token);
    }
    expect(
      [held.takeUpTo(3), held.takeUpTo(3), held.takeUpTo(3), held.takeUpTo(3)].map((batch) => batch?.envelopes),
    ).toEqual([[envelope(1)], [envelope(2)], [envelope(3)], undefined]);
  });

  it("wait for a batch under way when their lane wrote nothing since", () => {
    const held = new HeldMessages();
    const slot = slotOf("k");
    held.addLane(slot, 1);
    held.submitted(1);
    held.hold(envelope(7), slot.lastToken);
    expect(held.takeUpTo(1)?.envelopes).toEqual([envelope(7)]);
  });

  it("name each lane of a batch once, with its last sequence", () => {
    const held = new HeldMessages();
    const [first, second] = [slotOf("a"), slotOf("b")];
    held.addLane(first, 1);
    held.addLane(second, 4);
    held.addLane(first, 3);
    held.submitted(1);
    held.addLane(first, 5);
    const batch = held.takeUpTo(1);
    expect(batch?.slots).toEqual([first, second]);
    expect(batch?.sequences).toEqual([3, 4]);
    held.submitted(2);
    expect(held.takeUpTo(2)?.sequences).toEqual([5]);
  });

  it("may not be mixed up: tokens rise by one, and a batch that ended takes nothing more", () => {
    const held = new HeldMessages();
    expect(() => held.submitted(2)).toThrow(/tokens/);
    held.submitted(1);
    held.takeUpTo(1);
    expect(() => held.hold(envelope(1), 1)).toThrow(/P2/);
  });
});
