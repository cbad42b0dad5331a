/** One scope searched from beginning to end, with what a command prints of it. */
import { CANARIES } from "../soup/canaries.js";
import { SCOPES } from "./scopes.js";
import { Search, type SearchResult } from "./search.js";
import { tell } from "./story.js";

export interface ScopeReport extends Omit<SearchResult, "path"> {
  readonly scope: string;
  /** Of the violation; empty when there is none. */
  readonly story: readonly string[];
}

/** `canary`: a broken variant's name, or "". Every `healEvery`th state is healed. */
export function runScope(name: string, maxStates: number, canary: string, healEvery: number): ScopeReport {
  const scope = SCOPES.find((one) => one.name === name);
  if (scope === undefined) throw new Error(`there is no scope ${name}; --list names them`);
  const broken = CANARIES.find((one) => one.name === canary);
  if (canary !== "" && broken === undefined) throw new Error(`there is no broken variant ${canary}`);
  const variant = broken === undefined ? {} : { tamper: broken.make(), checksLeaving: broken.byConsequences !== true };
  const search = new Search({ scope, maxStates, healEvery, ...variant });
  const { path, ...result } = search.run();
  return { scope: name, ...result, story: result.violation === null ? [] : tell(search.cores, path) };
}
