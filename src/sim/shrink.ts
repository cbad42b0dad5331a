/**
 * Makes a run that fails smaller: fewer kinds of faults, fewer operations, clients and keys, less time, as long as something
 * is still violated. It changes what was asked for and nothing that was drawn, so what is left is one short command.
 */
import { ENGINE_KINDS, FAULT_KINDS, type FaultKind } from "./fault-kinds.js";
import { drawPlan, type PlanOptions, planWords } from "./plan.js";
import { type RunOptions, runPlan } from "./run.js";

/** Runs that are tried at most. */
const MOST_TRIES = 200;

/** The smallest options found with which the seed still fails. `say` hears of each success. */
export function shrink(
  seed: number,
  options: PlanOptions,
  say: (text: string) => void,
  run: RunOptions = {},
): PlanOptions {
  let best = options;
  let tries = 0;
  const improve = (candidate: PlanOptions): boolean => {
    if (tries >= MOST_TRIES) return false;
    tries++;
    if (runPlan(drawPlan(seed, candidate), run).violations.length === 0) return false;
    best = candidate;
    say(planWords(best).join(" "));
    return true;
  };
  const plan = drawPlan(seed, options);
  leaveOut([...plan.kinds], (kinds) => improve({ ...best, without: [...(best.without ?? []), ...kinds] }));
  lower(plan.operations, (operations) => improve({ ...best, operations }));
  lower(plan.clients, (clients) => improve({ ...best, clients }));
  const { counters, registers, mixed, rich } = plan.keys;
  lower(counters + registers + mixed + rich, (keys) => improve({ ...best, keys }));
  lower(plan.faultyMs, (faultyMs) => improve({ ...best, faultyMs }));
  lower(drawPlan(seed, best).operations, (operations) => improve({ ...best, operations }));
  return best;
}

/** Halves, then quarters, then one by one. */
function leaveOut(kinds: FaultKind[], improve: (without: readonly FaultKind[]) => boolean): void {
  let left = kinds;
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const some = left.slice(at, at + size);
      if (improve(some)) left = left.filter((kind) => !some.includes(kind));
      else at += size;
    }
  }
}

/** The lowest of a few values between 1 and `from` that still fails. */
function lower(from: number, improve: (value: number) => boolean): void {
  let high = from;
  let low = 0;
  while (high - low > Math.max(1, from / 64)) {
    const middle = Math.floor((low + high) / 2);
    if (middle >= 1 && improve(middle)) high = middle;
    else low = middle;
  }
}

/** The kinds that a swarm of many seeds with these options must have met. */
export function kindsOf({ engine = "memory", without = [] }: PlanOptions): readonly FaultKind[] {
  return FAULT_KINDS.filter((kind) => !without.includes(kind) && (engine === "native" || !ENGINE_KINDS.has(kind)));
}
