// The two loops of all engine benches: callers that wait for their answer (closed), and arrivals that do not (open). Both
// know a system by `start(done)`, which begins one operation.
import { makeRandom } from "./keyspace.mjs";

/** Latencies in microseconds; grows. */
export class Latencies {
  #us = new Float32Array(1 << 16);
  count = 0;

  add(us) {
    if (this.count === this.#us.length) {
      const larger = new Float32Array(2 * this.count);
      larger.set(this.#us);
      this.#us = larger;
    }
    this.#us[this.count++] = us;
  }

  summary() {
    const sorted = this.#us.subarray(0, this.count).sort();
    const at = (q) => Math.round(sorted[Math.min(this.count - 1, Math.floor(this.count * q))] ?? 0);
    return { p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) };
  }
}

/** `callers` operations under way for so many seconds. Resolves with their number, the time, and latencies. */
export function closedLoop(callers, seconds, start) {
  return new Promise((resolve) => {
    const latencies = new Latencies();
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let running = callers;
    const caller = () => {
      let sent = 0;
      const done = () => {
        const now = performance.now();
        latencies.add((now - sent) * 1000);
        if (now < end) next(now);
        else if (--running === 0) resolve({ count: latencies.count, seconds: (now - begun) / 1000, latencies });
      };
      const next = (now) => {
        sent = now;
        start(done);
      };
      next(performance.now());
    };
    for (let i = 0; i < callers; i++) caller();
  });
}

/** Poisson arrivals at a rate; latencies, added to `latencies`, count from the time of arrival. */
export function openLoop(perSecond, seconds, seed, start, latencies) {
  return new Promise((resolve) => {
    const random = makeRandom(seed);
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let arrival = begun;
    let underWay = 0;
    const turn = () => {
      const now = performance.now();
      for (; arrival <= now && arrival < end; arrival += (-Math.log(1 - random() / 2 ** 32) * 1000) / perSecond) {
        const at = arrival;
        underWay++;
        start(() => {
          underWay--;
          latencies.add((performance.now() - at) * 1000);
        });
      }
      if (now < end || underWay > 0) setImmediate(turn);
      else resolve();
    };
    turn();
  });
}
