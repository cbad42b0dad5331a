/**
 * Glob patterns as Redis matches them: * ? [abc] [^a-z] and backslash. Linear in pattern times text: one place to go
 * back to, the last star, is enough.
 */

export function globMatches(pattern: string, text: string): boolean {
  let at = 0;
  let place = 0;
  let starAt = -1;
  let starPlace = 0;
  while (place < text.length) {
    if (pattern[at] === "*") {
      starAt = at++;
      starPlace = place;
      continue;
    }
    const next = at < pattern.length ? matchOne(pattern, at, text.charCodeAt(place)) : -1;
    if (next >= 0) {
      at = next;
      place++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      place = ++starPlace;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

/** Where the pattern goes on when its element at `at` matches `code`, else -1. */
function matchOne(pattern: string, at: number, code: number): number {
  const element = pattern[at];
  if (element === "?") return at + 1;
  if (element === "[") return matchClass(pattern, at + 1, code);
  const literal = element === "\\" && at + 1 < pattern.length ? at + 1 : at;
  return pattern.charCodeAt(literal) === code ? literal + 1 : -1;
}

function matchClass(pattern: string, start: number, code: number): number {
  let at = start;
  const negated = pattern[at] === "^";
  if (negated) at++;
  let matched = false;
  while (at < pattern.length && pattern[at] !== "]") {
    // What a backslash makes literal begins no range.
    const literal = pattern[at] === "\\" && at + 1 < pattern.length;
    if (literal) at++;
    const low = pattern.charCodeAt(at);
    let high = low;
    if (!literal && pattern[at + 1] === "-" && at + 2 < pattern.length) {
      high = pattern.charCodeAt(at + 2);
      at += 2;
    }
    if (code >= Math.min(low, high) && code <= Math.max(low, high)) matched = true;
    at++;
  }
  return matched === negated ? -1 : Math.min(at + 1, pattern.length);
}
