// Goal: a node that cannot keep up is asked for as much as it can answer soon, one that can is asked for all; input of clients
// leaves the event loop to others. Method: arrivals and answers on virtual time; rounds of the real loop.
import { describe, expect, it } from "vitest";
import { Admission } from "../../src/server/admission.js";
import { InputShare } from "../../src/server/input-share.js";

const MOST = 16_384;
const REQUEST_MS = 3000;
const STEP_US = 1000;

interface Run {
  /** Waits of the operations answered in the second half, in ms. */
  readonly longestMs: number;
  readonly perSecond: number;
  readonly refused: number;
  readonly bound: number;
}

/** `arrive` and `answer` per millisecond, the second given how many are there; what is not admitted is refused. */
function run(
  admission: Admission,
  seconds: number,
  arrive: number,
  answer: (inFlight: number, ms: number) => number,
): Run {
  const queue: number[] = [];
  let [longestMs, answered, refused] = [0, 0, 0];
  for (let ms = 0; ms < seconds * 1000; ms++) {
    admission.look((ms + 1) * STEP_US);
    for (let i = 0; i < arrive; i++) {
      if (!admission.hasRoom) refused++;
      else {
        admission.begin();
        queue.push(ms);
      }
    }
    for (const since of queue.splice(0, answer(queue.length, ms))) {
      admission.end();
      if (ms < seconds * 500) continue;
      answered++;
      longestMs = Math.max(longestMs, ms - since);
    }
  }
  return { longestMs, perSecond: answered / (seconds / 2), refused, bound: admission.bound };
}

describe("admission", () => {
  it("of four times what can be answered takes what can be, and refuses the rest at once", () => {
    const { longestMs, perSecond, refused } = run(new Admission(MOST, REQUEST_MS), 10, 20, () => 5);
    expect(perSecond).toBe(5000);
    expect(longestMs).toBeLessThan(REQUEST_MS / 20);
    expect(refused).toBeGreaterThan(140_000);
  });

  it("rises as long as more at once is done quicker: one flush serves them all", () => {
    const everyTwentyMs = (inFlight: number, ms: number): number => (ms % 20 === 0 ? inFlight : 0);
    const { perSecond, bound } = run(new Admission(MOST, REQUEST_MS), 10, 400, everyTwentyMs);
    expect(bound).toBeGreaterThan(4000);
    expect(perSecond).toBeGreaterThan(200_000);
  });

  it("does not go down for those who ask for little, however slow the answers are", () => {
    const { refused, bound } = run(new Admission(MOST, REQUEST_MS), 10, 1, (inFlight) => (inFlight > 100 ? 1 : 0));
    expect(refused).toBe(0);
    expect(bound).toBe(1024);
  });

  it("asks little of a node that answers nothing, and soon all again when it does", () => {
    const admission = new Admission(MOST, REQUEST_MS);
    const bounds: number[] = [];
    const { bound } = run(admission, 6, 10, (inFlight, ms) => {
      if (ms === 2000) bounds.push(admission.bound);
      return ms < 2000 ? 0 : inFlight;
    });
    expect([...bounds, bound]).toEqual([256, 1024]);
  });

  it("never goes beyond what the configuration says", () => {
    expect(new Admission(10, REQUEST_MS).bound).toBe(10);
    expect(run(new Admission(50, REQUEST_MS), 2, 400, (inFlight) => inFlight).bound).toBe(50);
  });
});

describe("input of clients", () => {
  it("is taken for a few milliseconds a round; the rest follows in its order, others between", async () => {
    let nowUs = 1;
    const share = new InputShare(() => nowUs);
    const log: string[] = [];
    const connection = (name: string) => ({
      release: (): void => {
        log.push(name);
        nowUs += 3000;
      },
    });
    for (const name of ["a", "b", "c", "d", "e", "f", "g"]) {
      const one = connection(name);
      if (share.take(one, nowUs)) one.release();
    }
    expect(log, "3 ms each, 4 ms a round").toEqual(["a", "b"]);
    const rounds: string[] = [];
    while (log.length < 7) {
      const before = log.length;
      await new Promise((resolve) => setImmediate(resolve));
      rounds.push(log.slice(before).join(""));
    }
    expect(rounds.filter((round) => round !== "")).toEqual(["cd", "ef", "g"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(share.take(connection("h"), nowUs), "a new round").toBe(true);
  });
});
