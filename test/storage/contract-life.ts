/** The store contract on full disks, restarts, identity, corruption and close. */
import { describe, expect, it } from "vitest";
import { type Key, userKey } from "../../src/base/key.js";
import type { StoreStatus } from "../../src/storage/store.js";
import { header, bytes, expectBytes, load, shape, put, valueOf, closed, type Scene } from "./contract-tools.js";

export function lifeContract(scene: () => Scene): void {
  describe("space", () => {
    it("refuses values before writing when full, still takes small records and marks, and keeps what it acknowledged", async () => {
      const session = await scene().start();
      const { store, sink } = session;
      const acknowledged: Key[] = [];
      // Ever smaller values, so that at last hardly any room is left.
      for (const size of [150_000, 20_000, 2000]) {
        let status: StoreStatus = "ok";
        for (let i = 0; status === "ok" && i < 10_000; i++) {
          const key = userKey(`${String(size)}:${String(i)}`);
          status = await put(session, key, 1, 0, bytes(size, i));
          if (status === "ok") acknowledged.push(key);
        }
        expect(status).toBe("disk-full");
      }
      expect(acknowledged.length).toBeGreaterThan(200);
      expect(store.isFull()).toBe(true);
      const first = acknowledged[0] ?? userKey("none");
      expect(await put(session, first, 2, 1, new Uint8Array(0))).toBe("ok");
      store.mark(first, 2, 2, header(99));
      expect(await sink.ended(store.submit())).toBe("ok");
      expect(shape(load(store, first))).toEqual(["1/0:1", "2/1:99"]);
      expect(store.stats().state).toBe("open");
      expect(sink.failures).toEqual([]);
      const again = await scene().restart(session);
      expect(again.store.stats().keys).toBe(acknowledged.length);
      expect(again.store.isFull()).toBe(true);
      expectBytes(await valueOf(again, first, 1, 1), bytes(150_000, 0));
      for (const key of acknowledged) expect(load(again.store, key).slots).toBe(key === first ? 2 : 1);
    }, 30_000);
  });

  describe("restart", () => {
    it("finds everything that was durable, with the same positions, headers and lsns", async () => {
      const session = await scene().start();
      for (let i = 1; i <= 30; i++) {
        for (const name of ["a", "b", "c"]) {
          session.store.put(userKey(name), i, i - 1, header(i), bytes(i * 100, i));
        }
        session.store.submit();
      }
      session.store.put(userKey("last"), 1, 0, header(9), bytes(10, 9));
      await session.sink.ended(session.store.submit());
      const lsns = load(session.store, userKey("b")).slot.map((slot) => slot.lsn);
      const again = await scene().restart(session);
      expect(again.store.facts.recoveredKeys).toBe(4);
      for (const name of ["a", "b", "c"]) {
        expect(shape(load(again.store, userKey(name)))).toEqual(["29/28:29", "30/29:30"]);
      }
      expect(load(again.store, userKey("b")).slot.map((slot) => slot.lsn)).toEqual(lsns);
      expectBytes(await valueOf(again, userKey("c"), 29, 1), bytes(2900, 29));
      expectBytes(await valueOf(again, userKey("c"), 30, 2), bytes(3000, 30));
    });

    it("lets the watermark grow with every batch, and never fall over a restart", async () => {
      const session = await scene().start();
      expect(session.store.facts.recoveredWatermark).toBe(session.store.watermark());
      let before = session.store.watermark();
      for (let i = 1; i <= 5; i++) {
        await put(session, userKey("a"), i, i - 1, bytes(10, i));
        expect(session.store.watermark()).toBeGreaterThan(before);
        before = session.store.watermark();
      }
      expect(load(session.store, userKey("a")).slot[1].lsn).toBeLessThanOrEqual(before);
      const again = await scene().restart(session);
      expect(again.store.facts.recoveredWatermark).toBe(before);
      await put(again, userKey("a"), 6, 5, bytes(10, 6));
      expect(again.store.watermark()).toBeGreaterThan(before);
    });

    it("keeps its identity", async () => {
      const session = await scene().start();
      const id = session.store.facts.storageId;
      expect(id).toMatch(/^[0-9a-f]{32}$/);
      expect(session.store.facts.fresh).toBe(true);
      const again = await scene().restart(session);
      expect(again.store.facts.storageId).toBe(id);
      expect(again.store.facts.fresh).toBe(false);
      expect(again.store.facts.unknownLosses).toBe(0);
    });

    it("refuses a second store on the same disk while the first is open", async () => {
      const session = await scene().start();
      await expect(scene().start()).rejects.toMatchObject({ name: "StoreOpenError", code: "locked" });
      const again = await scene().restart(session);
      expect(again.store.stats().state).toBe("open");
    });

    it("refuses the disk of another node", async () => {
      const session = await scene().start({ nodeId: "n1" });
      await closed(session.store);
      await expect(scene().start({ nodeId: "n2" })).rejects.toMatchObject({ name: "StoreOpenError", code: "foreign" });
      const again = await scene().start({ nodeId: "n1" });
      expect(again.store.facts.fresh).toBe(false);
    });

    it("says corrupt of a broken record, never absent, and serves the others", async () => {
      const session = await scene().start();
      await put(session, userKey("good"), 1, 0, bytes(3000, 1));
      await put(session, userKey("bad"), 1, 0, bytes(3000, 2));
      await put(session, userKey("after"), 1, 0, bytes(3000, 3));
      await put(session, userKey("after"), 2, 1, bytes(3000, 4));
      await closed(session.store);
      scene().place.corrupt(userKey("bad"), 1, bytes(3000, 2));
      const again = await scene().start();
      const loaded = load(again.store, userKey("bad"));
      again.store.read(1, userKey("bad"), 1);
      again.store.submit();
      const answer = await again.sink.answered(1);
      expect(loaded.corrupt || answer.status === "corrupt").toBe(true);
      expect(answer).toEqual({ status: "corrupt", value: null });
      expect(load(again.store, userKey("absent"))).toMatchObject({ slots: 0, corrupt: false });
      expectBytes(await valueOf(again, userKey("good"), 1, 2), bytes(3000, 1));
      expectBytes(await valueOf(again, userKey("after"), 2, 3), bytes(3000, 4));
    });
  });

  describe("close", () => {
    it("lets what was handed over end first, and may be called twice", async () => {
      const session = await scene().start();
      for (let i = 1; i <= 20; i++) {
        session.store.put(userKey("a"), i, i - 1, header(i), bytes(100, i));
        session.store.submit();
      }
      await Promise.all([closed(session.store), closed(session.store)]);
      await closed(session.store);
      expect(session.sink.durable.at(-1)).toEqual({ token: 20, status: "ok" });
      expect(session.store.stats().state).toBe("closed");
      const again = await scene().start();
      expect(shape(load(again.store, userKey("a")))).toEqual(["19/18:19", "20/19:20"]);
    });

    it("hands reads over with submit, and answers closed to those that were never handed over", async () => {
      const session = await scene().start();
      await put(session, userKey("a"), 1, 0, bytes(10, 1));
      session.store.read(1, userKey("a"), 1);
      expect(session.store.submit()).toBe(0);
      expect((await session.sink.answered(1)).status).toBe("ok");
      session.store.read(2, userKey("a"), 1);
      await closed(session.store);
      expect(await session.sink.answered(2)).toEqual({ status: "closed", value: null });
    });

    it("answers what comes later with closed", async () => {
      const session = await scene().start();
      await closed(session.store);
      session.store.put(userKey("a"), 1, 0, header(1), bytes(10, 1));
      expect(await session.sink.ended(session.store.submit())).toBe("closed");
      session.store.read(5, userKey("a"), 1);
      session.store.submit();
      expect(await session.sink.answered(5)).toEqual({ status: "closed", value: null });
    });
  });
}
