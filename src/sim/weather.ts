/**
 * Bad weather for a simulated cluster: now and then something happens to a replica, and is undone a while later. What
 * happens, to whom, when and for how long is drawn from one seed. Made for those who test an application: at most one
 * replica suffers at a time (but for "kill-all"), so a majority is alive most of the time.
 */
import { assert } from "../base/assert.js";
import type { Random } from "../base/random.js";
import type { TimerHandle } from "../node/clock.js";
import type { SimulatedCluster } from "./cluster.js";

export const WEATHER_KINDS = ["kill", "kill-all", "pause", "isolate", "one-way", "slow-disk", "clock-jump"] as const;
export type WeatherKind = (typeof WEATHER_KINDS)[number];

const LEAST_MS = 20;
const SLOW_DISK_TIMES = 50;
const MOST_JUMP_MS = 5000;

export class Weather {
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  readonly #kinds: readonly WeatherKind[];
  readonly #meanMs: number;
  readonly #counts = new Map<WeatherKind, number>();
  #next: TimerHandle | null = null;
  #undo: (() => void) | null = null;

  /** On average every `meanMs` something happens; it lasts half as long on average. */
  constructor(cluster: SimulatedCluster, random: Random, kinds: readonly WeatherKind[], meanMs: number) {
    assert(kinds.length > 0 && meanMs > 0, "weather needs kinds and a pace");
    this.#cluster = cluster;
    this.#random = random;
    this.#kinds = kinds;
    this.#meanMs = meanMs;
  }

  /** How often each kind struck. */
  get counts(): Readonly<Partial<Record<WeatherKind, number>>> {
    return Object.fromEntries(this.#counts);
  }

  begin(): void {
    this.#next ??= this.#after(this.#meanMs, () => {
      this.#strike();
    });
  }

  /** What is broken is mended, and nothing breaks any more. */
  end(): void {
    this.#next?.cancel();
    this.#next = null;
    const undo = this.#undo;
    this.#undo = null;
    undo?.();
  }

  #after(meanMs: number, run: () => void): TimerHandle {
    return this.#cluster.time.after((LEAST_MS + this.#random.below(2 * meanMs)) * 1000, run);
  }

  #strike(): void {
    const kind = this.#kinds[this.#random.below(this.#kinds.length)];
    assert(kind !== undefined, "one of the kinds");
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#undo = this.#do(kind, this.#random.below(this.#cluster.options.replicas));
    this.#next = this.#after(this.#meanMs / 2, () => {
      this.end();
      this.begin();
    });
  }

  /** Does it; returns how it is undone. */
  #do(kind: WeatherKind, replica: number): () => void {
    const cluster = this.#cluster;
    switch (kind) {
      case "kill":
        cluster.kill(replica);
        return () => {
          cluster.startAll();
        };
      case "kill-all":
        for (let each = 0; each < cluster.options.replicas; each++) cluster.kill(each);
        return () => {
          cluster.startAll();
        };
      case "pause":
        cluster.pause(replica);
        return () => {
          cluster.resume(replica);
        };
      case "isolate":
        for (const other of this.#others(replica)) {
          cluster.network.cut(replica, other);
          cluster.network.cut(other, replica);
        }
        return () => {
          cluster.network.heal();
        };
      case "one-way":
        for (const other of this.#others(replica)) cluster.network.cut(replica, other);
        return () => {
          cluster.network.heal();
        };
      case "slow-disk":
        cluster.slowDisk(replica, SLOW_DISK_TIMES);
        return () => {
          cluster.slowDisk(replica, 1);
        };
      case "clock-jump":
        cluster.jumpWall(replica, this.#random.below(2 * MOST_JUMP_MS) - MOST_JUMP_MS);
        return () => undefined;
    }
  }

  #others(replica: number): readonly number[] {
    return Array.from({ length: this.#cluster.options.replicas }, (_, other) => other).filter(
      (other) => other !== replica,
    );
  }
}
