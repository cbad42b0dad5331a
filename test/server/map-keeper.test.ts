// Goal: the cluster's map is written once, changed by one at a time, and an answer is never more than what is known. Method: keepers of several
// nodes over one service in memory, which is what a store is that all of them share.
import { describe, expect, it, onTestFinished } from "vitest";
import { clusterKey, type Key } from "../../src/base/key.js";
import { decodeMap, placementOf, type Placement } from "../../src/cluster/index.js";
import { MapBoard } from "../../src/node/map-board.js";
import type { ReplySink } from "../../src/node/service.js";
import type { Operation } from "../../src/paxos/operation.js";
import { MapKeeper } from "../../src/server/map-keeper.js";
import { silent } from "./harness.js";
import { NaiveService } from "./naive-service.js";

const NODES = ["n1", "n2", "n3", "n4", "n5", "n6"];

function placement(): Placement {
  const placed = placementOf(NODES.map((id, i) => ({ id, zone: "abc".charAt(i % 3) })));
  if (typeof placed === "string") throw new Error(placed);
  return placed;
}

const HOLDERS = placement().groups[0]?.members ?? [];
const [ONE = "", TWO = ""] = HOLDERS;
const [OTHER = ""] = NODES.filter((id) => !HOLDERS.includes(id));

function keeper(service: NaiveService, nodeId: string): { readonly keeper: MapKeeper; readonly board: MapBoard } {
  const board = new MapBoard(decodeMap);
  const made = new MapKeeper({ service, board, placement: placement(), nodeId, log: silent });
  onTestFinished(() => {
    made.close();
  });
  return { keeper: made, board };
}

/** Writes are answered so for a while. */
class Unsure extends NaiveService {
  unsure = 0;

  override write(key: Key, operation: Operation, sink: ReplySink, tag: number): void {
    if (this.unsure-- <= 0) {
      super.write(key, operation, sink, tag);
      return;
    }
    const onWrite = (): void => {
      sink.onWrite(tag, { status: "unknown", message: "the time is up" });
    };
    super.write(key, operation, { ...sink, onWrite }, tag);
  }
}

describe("the keeper of the map", () => {
  it("writes the first map, and leaves it alone when there is one", async () => {
    const service = new NaiveService();
    const [one, two] = [keeper(service, ONE), keeper(service, TWO)];
    one.keeper.start();
    two.keeper.start();
    await expect.poll(() => [one.board.version, two.board.version]).toEqual([1, 1]);
    expect(one.keeper.map).toEqual(two.keeper.map);
    await one.keeper.drain("n2", true);
    const late = keeper(service, ONE);
    late.keeper.start();
    await expect.poll(() => late.board.version).toBe(2);
    expect(late.keeper.map.drained).toEqual(["n2"]);
  });

  it("changes what others have changed before, also at the same time", async () => {
    const service = new NaiveService();
    const [one, two] = [keeper(service, ONE).keeper, keeper(service, TWO).keeper];
    const all = await Promise.all([one.drain("n2", true), two.drain("n3", true), one.drain("n4", true)]);
    expect(all.map(({ version }) => version).toSorted()).toEqual([2, 3, 4]);
    await one.drain("n5", true);
    expect(one.map.drained).toEqual(["n2", "n3", "n4", "n5"]);
    expect((await two.drain("n2", false)).drained).toEqual(["n3", "n4", "n5"]);
  });

  it("changes nothing when there is nothing to change", async () => {
    const service = new NaiveService();
    const one = keeper(service, ONE).keeper;
    const before = await one.drain("n2", true);
    expect(await one.drain("n2", true)).toEqual(before);
  });

  it("sends on who asks a node that does not hold it, and knows no node that there is not", async () => {
    const service = new NaiveService();
    await expect(keeper(service, OTHER).keeper.drain("n1", true)).rejects.toThrow(`held by ${HOLDERS.join(", ")}`);
    await expect(keeper(service, ONE).keeper.drain("n7", true)).rejects.toThrow("no node n7");
  });

  it("goes on above what it has heard of, though the store holds an older map", async () => {
    const lost = new NaiveService();
    const before = keeper(lost, ONE);
    for (const id of ["n2", "n3", "n4"]) await before.keeper.drain(id, true);
    const service = new NaiveService(); // an operator gave up what held it (P31)
    const one = keeper(service, ONE);
    one.board.show(before.board.bytes);
    expect((await one.keeper.drain("n5", true)).version).toBeGreaterThan(before.board.version);
    expect([one.board.isDrained("n5"), one.board.isDrained("n2")]).toEqual([true, false]);
  });

  it("says that it does not know when it does not, and the next try finds out", async () => {
    const service = new Unsure();
    const one = keeper(service, ONE).keeper;
    await one.drain("n2", true);
    service.unsure = 1;
    await expect(one.drain("n3", true)).rejects.toThrow("UNKNOWN");
    expect((await one.drain("n3", true)).version).toBe(3);
  });

  it("neither takes nor overwrites what is no map for this configuration", async () => {
    const service = new NaiveService();
    const value = new TextEncoder().encode("{}");
    const operation = { kind: "set", value, expiryMs: 0, condition: { kind: "none" }, returnOld: false } as const;
    await new Promise<void>((resolve) => {
      const onWrite = (): void => {
        resolve();
      };
      service.write(clusterKey("map"), operation, { onWrite, onRead: () => undefined }, 0);
    });
    const { keeper: one, board } = keeper(service, ONE);
    await expect(one.drain("n2", true)).rejects.toThrow("not one for this configuration");
    expect([board.version, one.map.version]).toEqual([0, 1]);
  });
});
