/**
 * Assertions that stay on in production. They guard the doors of modules and the invariants that the rules name;
 * a failing one is a programmer error and ends the process. Never assert on input from a peer, a client or the disk:
 * that is validation and yields an error value.
 */

/** A broken invariant. `message` begins with the number of the rule (P7, D3, ...) where there is one. */
export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/** Throws AssertionFailed unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${String(value)}`);
}
