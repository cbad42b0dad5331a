// Goal: after a pause everything that may have lain unread is known to be late, however slowly the loop comes round then, and what
// comes later is not.
import { describe, expect, it } from "vitest";
import { Lateness } from "../../src/node/lateness.js";

describe("lateness", () => {
  it("is the length of the last pause for a tenth of a second, and then nothing", () => {
    const lateness = new Lateness(1000);
    expect([1004, 1008, 1020].map((tick) => lateness.at(tick))).toEqual([0, 0, 0]);
    expect(lateness.at(61_020)).toBe(60_000);
    const after = Array.from({ length: 30 }, (_, i) => lateness.at(61_024 + 4 * i));
    expect(after.slice(0, 24).every((ticks) => ticks === 60_000)).toBe(true);
    expect(after.slice(25)).toEqual([0, 0, 0, 0, 0]);
  });

  // A stopped node was woken on a machine that gave it a turn every 150 ms: what clients had given up long before was begun.
  it("lasts while the loop is late again and again, for that many rounds and no more", () => {
    const lateness = new Lateness(0);
    expect(lateness.at(60_000)).toBe(60_000);
    const rounds = Array.from({ length: 12 }, (_, i) => lateness.at(60_150 + 150 * i));
    expect(rounds.slice(0, 8)).toEqual(new Array<number>(8).fill(60_000));
    expect(rounds.slice(9)).toEqual([150, 150, 150]);
  });

  it("of a short pause within the time of a long one is that of the long one", () => {
    const lateness = new Lateness(0);
    lateness.at(5000);
    expect(lateness.at(5020)).toBe(5000);
    for (let tick = 5024; tick < 5108; tick += 4) expect(lateness.at(tick)).toBe(5000);
    expect(lateness.at(5112)).toBe(20);
    for (let tick = 5116; tick < 5200; tick += 4) lateness.at(tick);
    expect(lateness.at(5200)).toBe(0);
  });

  it("is asked for many times in one tick at no cost", () => {
    const lateness = new Lateness(0);
    lateness.at(100);
    for (let i = 0; i < 1000; i++) expect(lateness.at(100)).toBe(100);
  });
});
