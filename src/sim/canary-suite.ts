/**
 * Killing broken variants of the protocol: each by the means that finds it soonest, the walk, the search in a scope that is
 * aimed at its rule, or a story. Other lists of variants (of whole clusters) offer the same shape, so that one command
 * reports all of them.
 */
import { Search } from "./explore/search.js";
import { SCOPES } from "./explore/scopes.js";
import { CANARIES } from "./soup/canaries.js";
import { storyFails, STORIES } from "./soup/canary-stories.js";
import type { Canary } from "./soup/tampering.js";
import { runWalk } from "./soup/walk.js";

/** How a variant was caught. */
export interface Kill {
  /** Seeds walked, states searched, or 1 story, until it was. */
  readonly count: number;
  readonly unit: "seeds" | "states" | "story";
  /** Where, for people: a seed, a scope. */
  readonly where: string;
  readonly violation: string;
}

export interface CanarySuite {
  readonly name: string;
  readonly canaries: readonly { readonly name: string; readonly rule: string }[];
  /** Null: it lives. `effort` 1 is what every change is given. */
  readonly kill: (name: string, effort: number) => Kill | null;
}

const SEEDS = 1000;
const STATES = 1_000_000;

/** Scopes aimed at variants for which walks are too blunt, or which need a fault that walks do not have. */
export const SEARCHED: Readonly<Record<string, string>> = {
  promise_not_durable: "forgetful-acceptor",
  accept_not_durable: "forgetful-acceptor",
  own_vote_early: "forgetful-leader",
  state_not_durable: "read-over-crash",
  dup_votes: "two-proposers",
  ignore_accepted: "two-proposers",
  first_accepted: "duel",
  behind_as_empty: "two-proposers",
  zero_twice: "submit",
  zero_without_leader: "forgetful-leader",
  chosen_by_class: "leader-again",
  read_ignores_accepted: "read",
  read_one_replica: "read",
  read_zero_without_leader: "read-of-class-zero",
  retry_without_id: "retry",
  forward_without_since: "forward",
  not_applied_forwarded: "forward",
  leader_from_own_proposal: "submit-beside",
  accept_without_base: "base-over-restart",
  base_not_checked_at_recovery: "torn",
  noop_drops_window: "no-op",
  wiped_votes: "lost-disk",
  read_counts_learner: "read-and-lost-disk",
  learner_proposes: "lost-disk",
};

function bySearch(canary: Canary, name: string, effort: number): Kill | null {
  const scope = SCOPES.find((one) => one.name === name);
  if (scope === undefined) throw new Error(`there is no scope ${name}`);
  const checksLeaving = canary.byConsequences !== true;
  const search = new Search({ scope, maxStates: STATES * effort, tamper: canary.make(), checksLeaving });
  const { states, violation } = search.run();
  return violation === null ? null : { count: states, unit: "states", where: `scope ${name}`, violation };
}

function byWalking(canary: Canary, effort: number): Kill | null {
  const checksLeaving = canary.byConsequences !== true;
  for (let seed = 1; seed <= SEEDS * effort; seed++) {
    for (const replicas of [3, 5]) {
      const { violation } = runWalk({ seed, replicas, tamper: canary.make(), checksLeaving });
      if (violation === null) continue;
      return { count: seed, unit: "seeds", where: `seed ${String(seed)}, N=${String(replicas)}`, violation };
    }
  }
  return null;
}

function kill(name: string, effort: number): Kill | null {
  const canary = CANARIES.find((one) => one.name === name);
  if (canary === undefined) throw new Error(`there is no variant ${name}`);
  const tell = STORIES[name];
  if (tell !== undefined) {
    const violation = storyFails(tell, canary.make());
    return violation === null ? null : { count: 1, unit: "story", where: "its story", violation };
  }
  const scope = SEARCHED[name];
  return scope === undefined ? byWalking(canary, effort) : bySearch(canary, scope, effort);
}

/** A list as every module has it that `npm run canaries` reads. */
export const suite: CanarySuite = { name: "protocol", canaries: CANARIES, kill };
