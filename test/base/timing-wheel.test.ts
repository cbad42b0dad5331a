// Goal: everybody is woken at the tick asked for, once, whatever was asked before. Method: stories, then random wishes
// against a plain list. Wishes lie within one turn of the wheel and beyond.
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.js";
import { type Sleeper, TimingWheel } from "../../src/base/timing-wheel.js";

interface Named extends Sleeper {
  readonly name: number;
}

function sleeper(name = 0): Named {
  return { name, wakeTick: 0 };
}

/** Names of those woken on the way from the present tick to `tick`. */
function woken(wheel: TimingWheel<Named>, tick: number): number[] {
  const names: number[] = [];
  wheel.advance(tick, (item) => {
    names.push(item.name);
  });
  return names;
}

describe("a timing wheel", () => {
  it("wakes at the tick, not before it and not again", () => {
    const wheel = new TimingWheel<Named>(100);
    wheel.add(sleeper(1), 105);
    expect(woken(wheel, 104)).toEqual([]);
    expect(woken(wheel, 105)).toEqual([1]);
    expect(woken(wheel, 5000)).toEqual([]);
  });

  it("wakes at its tick what lies many turns of the wheel ahead, also when time jumps", () => {
    const wheel = new TimingWheel<Named>(100);
    wheel.add(sleeper(1), 30_000);
    wheel.add(sleeper(2), 50_000);
    for (let tick = 101; tick < 30_000; tick += 7) expect(woken(wheel, tick)).toEqual([]);
    expect(wheel.nextTick()).toBeLessThanOrEqual(30_000);
    expect(woken(wheel, 30_000)).toEqual([1]);
    expect(woken(wheel, 90_000)).toEqual([2]);
    expect(wheel.nextTick()).toBe(0);
  });

  it("wakes at the next tick what should have been woken already", () => {
    const wheel = new TimingWheel<Named>(100);
    wheel.add(sleeper(1), 3);
    expect(woken(wheel, 100)).toEqual([]);
    expect(woken(wheel, 101)).toEqual([1]);
  });

  it("forgets an earlier wish for a later one, and a later one for an earlier one", () => {
    const wheel = new TimingWheel<Named>(1);
    const later = sleeper(1);
    wheel.add(later, 10);
    wheel.add(later, 20);
    const earlier = sleeper(2);
    wheel.add(earlier, 20);
    wheel.add(earlier, 10);
    expect(woken(wheel, 10)).toEqual([2]);
    expect(woken(wheel, 20)).toEqual([1]);
    expect(woken(wheel, 100)).toEqual([]);
  });

  it("does not wake what was removed, unless it asked again", () => {
    const wheel = new TimingWheel<Named>(1);
    const item = sleeper(1);
    wheel.add(item, 10);
    wheel.remove(item);
    expect(woken(wheel, 20)).toEqual([]);
    wheel.add(item, 30);
    wheel.remove(item);
    wheel.add(item, 30);
    expect(woken(wheel, 30)).toEqual([1]);
  });

  it("takes wishes while it wakes, for later ticks", () => {
    const wheel = new TimingWheel<Named>(1);
    const item = sleeper(1);
    wheel.add(item, 5);
    let times = 0;
    wheel.advance(8, (woke) => {
      times++;
      wheel.add(woke, 6);
    });
    expect(times).toBe(1);
    expect(woken(wheel, 9)).toEqual([1]);
  });

  it("leaves nobody out when a whole turn of the wheel passed at once", () => {
    const wheel = new TimingWheel<Named>(1);
    for (let name = 0; name < 100; name++) wheel.add(sleeper(name), 2 + name * 40);
    expect(woken(wheel, 1_000_000)).toHaveLength(100);
  });

  it("says when there is something to do, and that there is nothing", () => {
    const wheel = new TimingWheel<Named>(50);
    expect(wheel.nextTick()).toBe(0);
    wheel.add(sleeper(1), 90);
    wheel.add(sleeper(2), 70);
    expect(wheel.nextTick()).toBe(70);
    woken(wheel, 70);
    expect(wheel.nextTick()).toBe(90);
    woken(wheel, 90);
    expect(wheel.nextTick()).toBe(0);
  });

  it("agrees with a plain list: seed 7", () => {
    const random = new Random(7);
    const items = Array.from({ length: 50 }, (_, name) => sleeper(name));
    const wishes = new Map<number, number>();
    let now = 1;
    const wheel = new TimingWheel<Named>(now);
    for (let step = 0; step < 20_000; step++) {
      const item = items[random.below(items.length)];
      if (item === undefined) continue;
      if (random.chance(0.2)) {
        wheel.remove(item);
        wishes.delete(item.name);
      } else {
        const tick = now + 1 + random.below(random.chance(0.1) ? 4000 : 60);
        wheel.add(item, tick);
        wishes.set(item.name, tick);
      }
      if (!random.chance(0.3)) continue;
      now += 1 + random.below(20);
      const due = [...wishes].filter(([, tick]) => tick <= now).map(([name]) => name);
      for (const name of due) wishes.delete(name);
      expect(woken(wheel, now).sort()).toEqual(due.sort());
      const first = Math.min(...wishes.values());
      if (wishes.size > 0) expect(wheel.nextTick(), "never too late").toBeLessThanOrEqual(first);
    }
  });
});
