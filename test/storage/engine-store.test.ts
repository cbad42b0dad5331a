/**
 * The native engine on its simulated disk: the contract, determinism, and every fault of the disk. Method for the faults:
 * arm one, work until the disk says that it struck, and see that the store did what D8, D16 or D17 ask. Nothing here
 * waits: time is virtual.
 */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.js";
import { type Key, userKey } from "../../src/base/key.js";
import { DISK_FAULTS, type DiskFaultKind } from "../../src/sim/disk.js";
import type { EngineStore } from "../../src/sim/engine-store.js";
import { emptyLoadedKey } from "../../src/storage/loaded-key.js";
import { HEADER_BYTES, type LoadedKey } from "../../src/storage/store.js";
import { storeContract } from "./contract.js";
import { enginePlace, Machine } from "./engine-place.js";

storeContract({ name: "EngineStore", makePlace: enginePlace });

const SEEDS = Number(process.env["PLOGDB_SEEDS"] ?? 200);
const HEADER = new Uint8Array(HEADER_BYTES).fill(1);

function value(fill: number, bytes = 100): Uint8Array {
  return new Uint8Array(bytes).fill(fill);
}

function load(store: EngineStore, key: Key): LoadedKey {
  const result = emptyLoadedKey();
  store.load([key], [result]);
  return result;
}

/** Puts version `position` of a key, and runs until it was told what became of it. */
function put(machine: Machine, store: EngineStore, name: string, position: number, bytes = 100): string {
  store.put(userKey(name), position, position, HEADER, value(position, bytes));
  const token = store.submit();
  machine.run(1000);
  return machine.sink.durable.find((event) => event.token === token)?.status ?? "nothing";
}

function readValue(machine: Machine, store: EngineStore, name: string, position: number, tag: number): string {
  store.read(tag, userKey(name), position);
  store.submit();
  machine.run(1000);
  const answer = machine.sink.reads.get(tag);
  if (answer === undefined) return "nothing";
  return answer.status === "ok" ? String(answer.value?.[0] ?? "absent") : answer.status;
}

/** Random life of one machine: everything that was told, and what is on the disk at the end. */
function life(seed: number): string {
  const random = new Random(seed);
  const machine = new Machine({ seed, volumes: random.chance(0.5) ? 1 : 2 });
  const story: unknown[] = [];
  let store = machine.open({ cacheBytes: 2000 });
  const positions = new Map<string, number>();
  for (let step = 0; step < 400; step++) {
    const name = `key${String(random.below(20))}`;
    const position = (positions.get(name) ?? 0) + 1;
    positions.set(name, position);
    if (random.chance(0.1)) store.drop(userKey(name));
    else store.put(userKey(name), position, position - 1, HEADER, value(position % 250, random.below(6000)));
    if (random.chance(0.2)) store.read(step, userKey(name), position);
    if (random.chance(0.6)) store.submit();
    machine.run(random.below(600));
    if (!random.chance(0.02)) continue;
    const { durable, reads } = machine.sink;
    story.push(
      durable,
      [...reads].map(([tag, answer]) => [tag, answer.status, answer.value?.length]),
    );
    store.crash();
    if (random.chance(0.5)) machine.disk.losePower(random.next32());
    store = machine.open({ cacheBytes: 2000 });
    story.push({ ...store.facts, recoveryMs: 0 }, machine.disk.fingerprint());
  }
  machine.run(200_000);
  story.push(store.stats(), machine.disk.fingerprint(), [...store.digests(0, 65_536)].map(String).join(""));
  return JSON.stringify(story);
}

describe("an engine on a simulated disk", () => {
  it.each([1, 2, 3, 4])("does the same in every run of one seed: %i", (seed) => {
    const first = life(seed);
    expect(life(seed) === first, "equal stories").toBe(true);
    expect(life(seed + 100) === first, "other seeds, other stories").toBe(false);
  });

  it("has room on a small volume: what it keeps ahead of callers is a part of it (D12)", () => {
    // It was a MiB whatever the volume: stores of 2 MiB said full when they were empty, and nodes on them stood still.
    const tiny = new Machine().open();
    expect(tiny.isFull() || tiny.isShort()).toBe(false);
    expect(tiny.stats().space.level).toBe("plenty");
    // Half of it can be filled where there are enough extents for those that are kept free.
    const machine = new Machine({ volumeBytes: 6 << 20, extentBytes: 256 << 10 });
    const store = machine.open();
    let positions = 0;
    for (; !store.isFull() && positions < 900; positions++) {
      put(machine, store, `key${String(positions)}`, 1, 9000);
      machine.run(50_000); // a batch may wait for merge
    }
    expect(machine.sink.durable.filter((event) => event.status !== "ok")).toEqual([]);
    expect(store.isFull()).toBe(true);
    expect(positions * 9000).toBeGreaterThan(machine.disk.volumeBytes / 2);
    expect(put(machine, store, "small", 1), "there is room ahead").toBe("ok");
  });

  it("counts what a loss of power took", () => {
    const sums = { lost: 0, torn: 0, reordered: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const machine = new Machine({ seed });
      let store = machine.open();
      for (let round = 0; round < 2; round++) {
        store.put(userKey("k"), round + 1, round + 1, HEADER, value(1, 20_000));
        store.submit();
        machine.run(150); // written, not flushed
        store.crash();
        machine.disk.armPowerCut({ in: 1 + (seed % 80), when: "after", seed });
        const opened = machine.tryOpen();
        if (!(opened instanceof Error)) opened.crash();
        machine.disk.losePower(seed);
        store = machine.open();
      }
      const hits = machine.disk.hits();
      sums.lost += hits["lost-unflushed"];
      sums.torn += hits["torn-write"];
      sums.reordered += hits["reordered-writes"];
    }
    expect(Math.min(sums.lost, sums.torn, sums.reordered)).toBeGreaterThan(0);
  });

  it("gives back the memory of a disk and of its copies at once", () => {
    const machine = new Machine();
    const store = machine.open();
    put(machine, store, "a", 1);
    const copy = machine.disk.copy();
    expect(() => machine.disk.discard()).toThrow(/dies first/);
    store.crash();
    machine.disk.discard();
    machine.disk.discard();
    for (const disk of [machine.disk, copy]) {
      expect(new Machine(disk).tryOpen()).toMatchObject({ code: "bad-options" });
      expect(() => disk.arm({ kind: "read-error", in: 1, seed: 1 })).toThrow(/arm takes/);
    }
  });

  it("merges: small extents are emptied and used again", () => {
    const machine = new Machine();
    const store = machine.open();
    for (let i = 1; i <= 1500; i++) expect(put(machine, store, `key${String(i % 7)}`, i, 3000)).toBe("ok");
    expect(store.stats().space.extentsFreed).toBeGreaterThan(10);
    expect(store.stats().bytesWritten).toBeGreaterThan(machine.disk.volumeBytes);
  });

  it("keeps in a crash what was flushed, and lets a power loss take what was not", () => {
    let lost = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const machine = new Machine({ seed });
      let store = machine.open();
      expect(put(machine, store, "old", 1)).toBe("ok");
      store.put(userKey("new"), 1, 1, HEADER, value(1));
      store.submit();
      machine.run(150); // written, not flushed
      store.crash();
      expect(machine.disk.locked).toBe(false);
      if (seed % 2 === 0) machine.disk.losePower(seed);
      store = machine.open();
      expect(load(store, userKey("old")).slots).toBe(1);
      if (load(store, userKey("new")).slots === 0) lost++;
    }
    expect(lost).toBeGreaterThan(0);
    expect(lost, "a killed process takes nothing with it").toBeLessThanOrEqual(20);
  });

  it("makes a copy that lives a life of its own", () => {
    const machine = new Machine();
    const store = machine.open();
    put(machine, store, "a", 1);
    const backup = machine.disk.copy();
    const print = backup.fingerprint();
    put(machine, store, "a", 2);
    expect(backup.fingerprint()).toBe(print);
    const other = new Machine(backup);
    expect(load(other.open(), userKey("a")).slot[0].position).toBe(1);
    expect(load(store, userKey("a")).slot[0].position).toBe(2);
    expect(other.open.bind(other)).toThrow(/in use/);
  });

  it("formats another store on another disk, and the same one for the same seed", () => {
    const id = (seed: number): string => new Machine({ seed }).open().facts.storageId;
    expect(id(1)).toBe(id(1));
    expect(id(1)).not.toBe(id(2));
  });
});

describe("power that goes in the midst of it", () => {
  it("may go at any call of an opening, a write, an idle mark or a close: what was acknowledged is there", () => {
    const struck = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed);
      const machine = new Machine({ seed, volumes: seed % 3 === 0 ? 2 : 1 });
      const acknowledged = new Map<string, number>();
      const asked = new Map<string, number>();
      for (let round = 0; round < 3; round++) {
        if (machine.disk.powerIsOff) machine.disk.losePower(random.next32());
        const when = (["before", "within", "after"] as const)[random.below(3)] ?? "before";
        if (round < 2) machine.disk.armPowerCut({ in: 1 + random.below(200), when, seed: random.next32() });
        else machine.disk.disarm();
        const opened = machine.tryOpen();
        if (opened instanceof Error) {
          expect(machine.disk.powerIsOff, `seed ${String(seed)}: ${opened.message}`).toBe(true);
          struck.add(`open ${when}`);
          continue;
        }
        for (const [name, position] of acknowledged) {
          const loaded = load(opened, userKey(name));
          const found = loaded.slot[0].position;
          expect(loaded.slots > 0 && found >= position, `seed ${String(seed)}: ${name}`).toBe(true);
          expect(found, "nothing that was never asked for").toBeLessThanOrEqual(asked.get(name) ?? 0);
        }
        for (let i = 0; i < 30 && !machine.disk.powerIsOff; i++) {
          const name = `key${String(random.below(5))}`;
          const position = (asked.get(name) ?? 0) + 1;
          asked.set(name, position);
          if (put(machine, opened, name, position, random.below(9000)) === "ok") acknowledged.set(name, position);
        }
        if (machine.disk.powerIsOff) {
          struck.add(`work ${when}`);
          expect(machine.powerLost).toBeGreaterThan(0);
          continue;
        }
        if (round < 2) machine.disk.armPowerCut({ in: 1 + random.below(4), when, seed: random.next32() });
        opened.close(() => undefined);
        machine.run(1000);
        if (machine.disk.powerIsOff) struck.add(`close ${when}`);
      }
    }
    expect([...struck].sort()).toEqual(
      ["close", "open", "work"].flatMap((phase) => ["after", "before", "within"].map((when) => `${phase} ${when}`)),
    );
  }, 60_000);
});

describe("a fault of the disk", () => {
  function armed(kind: DiskFaultKind, seed = 1): Machine {
    const machine = new Machine();
    machine.disk.arm({ kind, in: 1, seed });
    return machine;
  }

  it.each(["write-error", "flush-error", "short-write"] as const)("%s makes the store FAILED for good (D8)", (kind) => {
    const machine = new Machine();
    let store = machine.open();
    expect(put(machine, store, "a", 1)).toBe("ok");
    machine.disk.arm({ kind, in: 1, seed: 5 });
    expect(put(machine, store, "a", 2, 9000)).toBe("failed");
    expect(machine.disk.hits()[kind]).toBe(1);
    expect(machine.sink.failures).toHaveLength(1);
    expect(store.stats().state).toBe("failed");
    expect(put(machine, store, "b", 1)).toBe("failed");
    expect(load(store, userKey("a")).slot[0].position, "memory shows what is durable (D5)").toBe(1);
    store.crash();
    machine.disk.losePower(1);
    store = machine.open();
    expect(load(store, userKey("a")).slots, "nothing that was acknowledged is gone").toBe(1);
  });

  it("lost-write: the next opening says that the key is damaged, never that it is absent (D16, D17)", () => {
    const machine = new Machine();
    let store = machine.open();
    put(machine, store, "a", 1);
    machine.disk.arm({ kind: "lost-write", in: 1, seed: 1 });
    expect(put(machine, store, "a", 2)).toBe("ok");
    put(machine, store, "b", 1);
    expect(machine.disk.hits()["lost-write"]).toBe(1);
    store.crash();
    store = machine.open();
    expect(load(store, userKey("a")).corrupt).toBe(true);
    expect(load(store, userKey("b"))).toMatchObject({ corrupt: false, slots: 1 });
  });

  it("lying-flush: with the power goes what it should have kept, and the next opening sees that (D17)", () => {
    const machine = new Machine();
    let store = machine.open();
    put(machine, store, "a", 1);
    machine.disk.arm({ kind: "lying-flush", in: 1, seed: 1 });
    expect(put(machine, store, "a", 2)).toBe("ok");
    put(machine, store, "b", 1);
    expect(machine.disk.hits()["lying-flush"]).toBe(1);
    store.crash();
    machine.disk.losePower(1);
    store = machine.open();
    expect(load(store, userKey("a")).corrupt).toBe(true);
    expect(load(store, userKey("b"))).toMatchObject({ corrupt: false, slots: 1 });
  });

  it("misdirected-write: what was hit and what is missing are damaged, never absent or old (D16)", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const machine = new Machine();
      let store = machine.open();
      for (let i = 0; i < 10; i++) put(machine, store, `key${String(i)}`, 1, 5000);
      machine.disk.arm({ kind: "misdirected-write", in: 1, seed });
      expect(put(machine, store, "a", 1)).toBe("ok");
      put(machine, store, "b", 1);
      expect(machine.disk.hits()["misdirected-write"]).toBe(1);
      store.crash();
      store = machine.open();
      const unknown = store.facts.unknownLosses > 0;
      for (let i = 0; i < 10; i++) {
        const loaded = load(store, userKey(`key${String(i)}`));
        expect(loaded.corrupt || loaded.slots === 1 || unknown, `seed ${String(seed)}`).toBe(true);
      }
      expect(load(store, userKey("a")).corrupt || unknown, `seed ${String(seed)}`).toBe(true);
    }
  });

  it.each(["read-error", "stale-read", "bit-flip"] as const)(
    "%s: a read says corrupt or the value, never another one (D16)",
    (kind) => {
      const machine = new Machine();
      const store = machine.open({ cacheBytes: 0 });
      let corrupt = 0;
      for (let i = 1; i <= 30; i++) {
        const name = `key${String(i)}`;
        put(machine, store, name, i, 9000);
        machine.disk.arm({ kind, in: 1, seed: i });
        const answer = readValue(machine, store, name, i, i);
        expect(["corrupt", String(i)]).toContain(answer);
        if (answer === "corrupt") corrupt++;
      }
      expect(machine.disk.hits()[kind]).toBeGreaterThan(20);
      // What a call failed to read is asked for again.
      expect(corrupt > 0).toBe(kind !== "read-error");
      expect(machine.sink.damaged.length).toBe(corrupt);
    },
  );

  it("truncated-volume: calls beyond the end fail, and an opening refuses or tells of the loss", () => {
    let refused = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const machine = new Machine();
      const store = machine.open();
      const names = Array.from({ length: 60 }, (_, i) => `key${String(i)}`);
      for (const name of names) put(machine, store, name, 1, 9000);
      machine.disk.arm({ kind: "truncated-volume", in: 1, seed });
      put(machine, store, "a", 1);
      store.crash();
      const again = machine.tryOpen();
      if (again instanceof Error) {
        refused++;
        continue;
      }
      const told = again.facts.unknownLosses > 0;
      for (const name of names) {
        const loaded = load(again, userKey(name));
        expect(loaded.corrupt || loaded.slots === 1 || told, `seed ${String(seed)}: ${name}`).toBe(true);
      }
      expect(machine.disk.hits()["truncated-volume"]).toBeGreaterThan(0);
    }
    expect(refused).toBeLessThan(20);
  });

  it("strikes at an opening too: an error, or a store that says what is lost", () => {
    for (const kind of DISK_FAULTS) {
      const machine = armed(kind, 3);
      const opened = machine.tryOpen();
      if (opened instanceof Error) expect(opened).toMatchObject({ name: "StoreOpenError" });
      else expect(opened.stats().keys).toBe(0);
    }
  });

  it("can be taken away before it strikes", () => {
    const machine = new Machine();
    const store = machine.open();
    for (const kind of DISK_FAULTS) machine.disk.arm({ kind, in: 1, seed: 1 });
    machine.disk.armPowerCut({ in: 1, when: "before", seed: 1 });
    machine.disk.disarm();
    expect(put(machine, store, "a", 1)).toBe("ok");
    expect(Object.values(machine.disk.hits()).every((count) => count === 0)).toBe(true);
  });
});
