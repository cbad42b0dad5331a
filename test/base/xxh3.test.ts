/** Claims about the digest of values: it is XXH3 as the reference program computes it, in every branch by length. */
import { describe, expect, it } from "vitest";
import { xxh3 } from "../../src/base/xxh3.js";

/** The same bytes were given to the reference program (`xxhsum -H3`). */
function sample(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((i * 2654435761) >>> 13) & 255);
}

describe("xxh3", () => {
  it.each([
    [0, "2d06800538d394c2"],
    [1, "c44bdff4074eecdb"],
    [3, "a1c4a8259b827291"],
    [4, "bb4e3d89ee0b271d"],
    [8, "79d02238b80e37b1"],
    [9, "f64cecc4271ff461"],
    [16, "222e9aead6bddd51"],
    [17, "47aad6b375eb4bba"],
    [64, "70a70e66815e67e5"],
    [100, "ad1e77ff670a2548"],
    [128, "421a9c905c6e66ba"],
    [129, "9e2414800f83768a"],
    [200, "20a87db907ce74e4"],
    [240, "b714c5fd22744964"],
    [241, "bc424a2c480dd281"],
    [1024, "1fd15e7d36f5e1bc"],
    [1025, "fe08e5a874d23fd2"],
    [5000, "853377ef13cec7bd"],
  ])("of %i bytes is what the reference program says", (length, digest) => {
    expect(xxh3(sample(length))).toBe(digest);
  });

  it("reads a part of a larger buffer", () => {
    const whole = new Uint8Array([...sample(7), ...sample(300), 1, 2, 3]);
    expect(xxh3(whole.subarray(7, 307))).toBe(xxh3(sample(300)));
  });
});
