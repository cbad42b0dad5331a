// Goal: the parser gives the same commands however the bytes are cut, and bad bytes give an error, never a crash or a
// wait for what was only announced. Method: properties over random commands, cuts and garbage, and a table of errors.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ParserLimits, RespParser } from "../../src/server/resp-parser.js";
import { encode } from "./wire.js";

const LIMITS: ParserLimits = { maxArguments: 64, maxArgumentBytes: 4096, maxCommandBytes: 16_384 };

interface Parsed {
  readonly commands: string[][];
  readonly error: string;
}

function parse(chunks: readonly Uint8Array[], limits = LIMITS): Parsed {
  const parser = new RespParser(limits);
  const commands: string[][] = [];
  for (const chunk of chunks) {
    parser.feed(Buffer.from(chunk));
    while (parser.next() === "command") {
      commands.push(Array.from({ length: parser.argc }, (_, index) => parser.latin1(index)));
    }
    parser.release();
  }
  return { commands, error: parser.error };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return ends.map((end) => {
    const part = bytes.subarray(from, end);
    from = end;
    return part;
  });
}

const command = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 });
const cuts = fc.array(fc.nat(100_000), { maxLength: 40 });

describe("the parser", () => {
  it("gives the same commands for any split of the bytes", () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 8 }), cuts, (commands, places) => {
        const bytes = Buffer.concat(commands.map(encode));
        const wanted = commands.map((args) => args.map((arg) => Buffer.from(arg).toString("latin1")));
        expect(parse(cut(bytes, places))).toEqual({ commands: wanted, error: "" });
      }),
      { numRuns: 300 },
    );
  });

  it("gives the same commands byte by byte, inline ones too", () => {
    const bytes = Buffer.concat([
      Buffer.from("PING\r\nset a \"x \\x41\\n\" 'it\\'s'\n\r\n"),
      encode(["GET", "a".repeat(3000)]),
    ]);
    const wanted = [["PING"], ["set", "a", "x A\n", "it's"], ["GET", "a".repeat(3000)]];
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual({ commands: wanted, error: "" });
    expect(parse([bytes])).toEqual({ commands: wanted, error: "" });
  });

  it("meets garbage with an error or waits, and says the same for any split of it", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .constantFrom(
          "*3\r\n",
          "$3\r\n",
          "*-1\r\n",
          "$-1\r\n",
          "*1\r\n$4\r\nPING\r\n",
          "\r\n",
          '"',
          "GET a\r\n",
          "*2\n",
        )
        .map((text) => Uint8Array.from(Buffer.from(text))),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), cuts, (pieces, places) => {
        const bytes = Buffer.concat(pieces);
        expect(parse(cut(bytes, places))).toEqual(parse([bytes]));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["*x\r\n", "invalid multibulk length"],
    ["*01\r\n", "invalid multibulk length"],
    ["*+1\r\n", "invalid multibulk length"],
    ["*65\r\n", "invalid multibulk length"],
    ["*1\n", "invalid multibulk length"],
    [`*${"1".repeat(40)}`, "too big mbulk count string"],
    ["*1\r\n+OK\r\n", "expected '$', got '+'"],
    ["*1\r\n$-1\r\n", "invalid bulk length"],
    ["*1\r\n$1e3\r\n", "invalid bulk length"],
    ["*1\r\n$999999999999\r\n", "invalid bulk length"],
    [`*1\r\n$${"1".repeat(40)}`, "too big bulk count string"],
    ["*1\r\n$2\r\nabc\r\n", "expected CRLF after a bulk string"],
    ['get "a\r\n', "unbalanced quotes in request"],
    ['get "a"b\r\n', "unbalanced quotes in request"],
    ["x".repeat(70_000), "too big inline request"],
    ["\x16\x03\x01", "expected '*' or an inline command, got byte 0x16"],
  ])("refuses %j", (text, message) => {
    expect(parse([Buffer.from(text, "latin1")]).error).toBe(`Protocol error: ${message}`);
  });

  it("ignores empty arrays and empty lines", () => {
    expect(parse([Buffer.from("*0\r\n*-1\r\n*-20\r\n\r\nPING\r\n")])).toEqual({ commands: [["PING"]], error: "" });
  });

  it("skips an argument beyond the limit without keeping it, and goes on behind it", () => {
    const parser = new RespParser(LIMITS);
    const bytes = Buffer.concat([encode(["SET", "a", "x".repeat(10_000), "NX"]), encode(["PING"])]);
    let held = 0;
    for (const part of cut(
      bytes,
      Array.from({ length: 100 }, (_, index) => index * 100),
    )) {
      parser.feed(part);
      if (parser.next() === "command") break;
      held = Math.max(held, parser.pendingBytes);
    }
    expect(parser.oversized).toBe(10_000);
    expect(parser.argc).toBe(4);
    expect(held).toBeLessThan(1000);
    expect(parser.next()).toBe("command");
    expect([parser.latin1(0), parser.oversized]).toEqual(["PING", 0]);
  });

  it("marks a command whose arguments are too long together", () => {
    const parser = new RespParser(LIMITS);
    parser.feed(encode(["MSET", ...Array.from({ length: 10 }, () => "x".repeat(4000))]));
    expect(parser.next()).toBe("command");
    expect(parser.oversized).toBeGreaterThan(LIMITS.maxCommandBytes);
  });

  it("holds what was received, not what was announced", () => {
    const parser = new RespParser({ ...LIMITS, maxArgumentBytes: 2 ** 28, maxCommandBytes: 2 ** 28 });
    parser.feed(Buffer.from("*1\r\n$268435456\r\nabc"));
    expect(parser.next()).toBe("more");
    expect(parser.pendingBytes).toBe(3);
  });
});
