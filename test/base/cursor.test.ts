/** Claims about byte cursors: what was written is read back; no input makes the reader throw or read beyond its end. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionFailed } from "../../src/base/assert.js";
import { ByteReader, ByteWriter } from "../../src/base/cursor.js";

const u53 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER));

describe("byte cursors", () => {
  it("read back what was written, in order, over every growth of the buffer", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(u53, fc.uint8Array({ maxLength: 300 }), fc.string({ unit: "binary-ascii", maxLength: 20 }))),
        (items) => {
          const out = new ByteWriter(1);
          for (const [number, blob, text] of items) {
            out.u8(number % 256);
            out.u16(number % 65_536);
            out.u32(number % 2 ** 32);
            out.u53(number);
            out.varint(number);
            out.blob(blob);
            out.latin1(text);
          }
          const reader = new ByteReader(out.copy());
          for (const [number, blob, text] of items) {
            expect(reader.u8()).toBe(number % 256);
            expect(reader.u16()).toBe(number % 65_536);
            expect(reader.u32()).toBe(number % 2 ** 32);
            expect(reader.u53()).toBe(number);
            expect(reader.varint()).toBe(number);
            expect(reader.blob()).toEqual(blob);
            expect(reader.latin1()).toBe(text);
          }
          expect(reader.failed).toBe(false);
          expect(reader.remaining).toBe(0);
        },
      ),
    );
  });

  it("a varint takes 1 to 8 bytes", () => {
    for (const [value, length] of [
      [0, 1],
      [127, 1],
      [128, 2],
      [2 ** 28, 5],
      [Number.MAX_SAFE_INTEGER, 8],
    ] as const) {
      const out = new ByteWriter();
      out.varint(value);
      expect(out.length).toBe(length);
    }
  });

  it("numbers that are no integers below 2^53 are refused when written and when read", () => {
    const out = new ByteWriter();
    for (const bad of [-1, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(() => {
        out.varint(bad);
      }).toThrow(AssertionFailed);
      expect(() => {
        out.u53(bad);
      }).toThrow(AssertionFailed);
    }
    const varint = new ByteReader(new Uint8Array(8).fill(255));
    expect(varint.varint()).toBe(0);
    expect(varint.failed).toBe(true);
    const fixed = new ByteReader(new Uint8Array(8).fill(255));
    expect(fixed.u53()).toBe(0);
    expect(fixed.failed).toBe(true);
  });

  it("a reader never goes beyond its end: once failed it yields zeros", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(fc.nat(6), { maxLength: 30 }), (bytes, calls) => {
        const reader = new ByteReader(bytes);
        for (const call of calls) {
          const value = [
            () => reader.u8(),
            () => reader.u16(),
            () => reader.u32(),
            () => reader.u53(),
            () => reader.varint(),
            () => reader.blob().length,
            () => reader.latin1().length,
          ][call]?.();
          if (reader.failed) expect(value).toBe(0);
          expect(reader.position).toBeLessThanOrEqual(bytes.length);
        }
      }),
    );
  });

  it("a length that nobody sent allocates nothing", () => {
    const out = new ByteWriter();
    out.varint(2 ** 40);
    const reader = new ByteReader(out.copy());
    expect(reader.blob().length).toBe(0);
    expect(reader.failed).toBe(true);
  });

  it("patches four bytes that were written, and only those", () => {
    const out = new ByteWriter();
    out.u32(0);
    out.u8(7);
    out.patchU32(0, 0xdeadbeef);
    const reader = new ByteReader(out.view());
    expect([reader.u32(), reader.u8()]).toEqual([0xdeadbeef, 7]);
    expect(() => {
      out.patchU32(2, 1);
    }).toThrow(AssertionFailed);
  });

  it("a reader starts over on other bytes", () => {
    const reader = new ByteReader(new Uint8Array(0));
    reader.u8();
    expect(reader.failed).toBe(true);
    reader.reset(Uint8Array.of(5));
    expect([reader.u8(), reader.failed]).toEqual([5, false]);
  });
});
