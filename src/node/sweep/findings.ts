/** What one pass of the sweep has found, for people: added up while it runs, and kept when it has ended. */
import type { Action } from "./compare.js";

export interface PassFindings {
  /** Of 65,536. */
  buckets: number;
  /** Buckets whose digests differ from a peer's, and keys looked at because of that or for the sake of learners. */
  differing: number;
  /** Keys of which a peer holds a newer chosen entry. */
  behind: number;
  /** P6: keys with another entry at the same index; each is stopped and told. */
  diverged: number;
  undecided: number;
  /** P30: keys that this replica has no vote for; those that were restored are not among them at the end. */
  learners: number;
  /** P31: lost at two replicas; an operator decides. */
  lostTwice: number;
  /** P31: other replicas whose whole disk is lost as well: of keys that nobody lists any more nobody knows; an operator decides. */
  lostDisks: number;
}

export function noFindings(): PassFindings {
  return { buckets: 0, differing: 0, behind: 0, diverged: 0, undecided: 0, learners: 0, lostTwice: 0, lostDisks: 0 };
}

/** P31: the second loss of something before the first was repaired. */
export function needsDecision({ lostTwice, lostDisks }: Readonly<PassFindings>): boolean {
  return lostTwice > 0 || lostDisks > 0;
}

export class Findings {
  readonly values = noFindings();

  countLostDisks(disks: number): void {
    this.values.lostDisks = Math.max(this.values.lostDisks, disks);
  }

  count(actions: readonly Action[]): void {
    const { values } = this;
    for (const { kind } of actions) {
      if (kind === "fetch") values.behind++;
      else if (kind === "diverged") values.diverged++;
      else if (kind === "look" || kind === "settle") values.undecided++;
      else if (kind === "refused") values.lostTwice++;
    }
  }
}
