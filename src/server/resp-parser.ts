/**
 * Bytes to commands, for both request forms of the Redis protocol: arrays of bulk strings, and inline lines. Pull
 * style: `feed` what came, then call `next` until it says "more"; the arguments of a command stay readable until the
 * following `next`. Arguments are places within the received chunks, not copies. Numbers are strict, every length has a
 * bound, nothing is allocated because a length was announced. It knows no command.
 */
import { ChunkQueue } from "./chunk-queue.js";
import { splitInline } from "./inline.js";
import type { Arguments } from "./stored-arguments.js";

export interface ParserLimits {
  /** Most arguments of one command, its name included. */
  readonly maxArguments: number;
  /** A longer argument is skipped as it arrives, and the command is marked `oversized`. */
  readonly maxArgumentBytes: number;
  /** The same for all arguments of a command together. */
  readonly maxCommandBytes: number;
}

export type ParseResult = "command" | "more" | "error";

/** As Redis: an inline line, or the search for one, ends here. */
const MAX_INLINE_BYTES = 64 * 1024;
/** "*1048576\r\n" and "$536870912\r\n" are far shorter. */
const MAX_HEADER_BYTES = 32;
/** As Redis's proto-max-bulk-len: what is announced beyond it ends the connection, what is below is skipped. */
const MAX_BULK_BYTES = 512 * 1024 * 1024;

const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const NEWLINE = 0x0a;
const EMPTY: Buffer = Buffer.alloc(0);
const BAD_NUMBER = -2;
/** Argument arrays that grew beyond this are dropped after the command. */
const KEEP_ARGUMENTS = 1024;
/** Places in the three arrays and, at worst, a chunk object of its own. */
const ARGUMENT_OVERHEAD_BYTES = 128;

export class RespParser implements Arguments {
  /** Number of arguments of the present command, its name included. */
  argc = 0;
  /** Length of the first argument (or of all together) that broke a limit; 0 = none did. The command must be refused. */
  oversized = 0;
  /** Why `next` said "error", without the code. */
  error = "";
  #limits: ParserLimits;
  readonly #queue = new ChunkQueue();
  #buffers: Buffer[] = [];
  #starts: number[] = [];
  #ends: number[] = [];
  /** Arguments still to come of the command at hand. */
  #missing = 0;
  /** Length of the argument at hand; -1 = its header was not read. */
  #bulkBytes = -1;
  /** Bytes of an oversized argument, line end included, still to be dropped. */
  #skipBytes = 0;
  #commandBytes = 0;
  /** What the arguments taken so far hold, their bookkeeping included. */
  #heldBytes = 0;
  /** Most arguments of a command since memory was let go. */
  #used = 0;

  constructor(limits: ParserLimits) {
    this.#limits = limits;
  }

  /** Bytes held for a command that is not complete. */
  get pendingBytes(): number {
    return this.#queue.length + (this.#missing > 0 ? this.#heldBytes : 0);
  }

  /** True between the first and the last byte of a command. */
  get midway(): boolean {
    return this.#missing > 0 || this.#queue.length > 0;
  }

  /** From the next command on. */
  set limits(limits: ParserLimits) {
    this.#limits = limits;
  }

  /** `chunk` is kept and must not change any more. */
  feed(chunk: Buffer): void {
    this.#queue.push(chunk);
  }

  /** Moves on to the next command. After "error" there is none. */
  next(): ParseResult {
    if (this.error !== "") return "error";
    while (this.#missing === 0) {
      const started = this.#start();
      if (started !== null) return started;
    }
    while (this.#missing > 0) {
      const blocked = this.#argument();
      if (blocked !== null) return blocked;
    }
    return "command";
  }

  /** Lets go of received memory while nothing is under way. */
  release(): void {
    this.#queue.release();
    if (this.#missing > 0) return;
    if (this.#buffers.length > KEEP_ARGUMENTS) {
      this.#buffers = [];
      this.#starts = [];
      this.#ends = [];
    } else {
      for (let i = 0; i < this.#used; i++) this.#buffers[i] = EMPTY;
    }
    this.#used = 0;
    this.argc = 0;
  }

  /** Begins a command. Null: it has arguments to come, or nothing was in it. */
  #start(): ParseResult | null {
    this.argc = 0;
    this.oversized = 0;
    this.#commandBytes = 0;
    this.#heldBytes = 0;
    const queue = this.#queue;
    if (!queue.ensure(1)) return "more";
    const first = queue.front[queue.at] ?? 0;
    if (first !== ASTERISK) return this.#inline(first);
    const end = queue.lineEnd(MAX_HEADER_BYTES);
    if (end < 0) {
      return queue.length < MAX_HEADER_BYTES ? "more" : this.#fail("too big mbulk count string");
    }
    const count = parseHeader(queue.front, queue.at + 1, end);
    if (count === BAD_NUMBER || count > this.#limits.maxArguments) return this.#fail("invalid multibulk length");
    queue.consume(end - queue.at);
    this.#missing = Math.max(0, count);
    this.#bulkBytes = -1;
    return null;
  }

  /** Takes one argument. Null: it is there. */
  #argument(): ParseResult | null {
    const queue = this.#queue;
    if (this.#skipBytes > 0) return this.#skip();
    if (this.#bulkBytes < 0) {
      const refused = this.#bulkHeader();
      if (refused !== null) return refused;
      if (this.#skipBytes > 0) return this.#skip();
    }
    const bytes = this.#bulkBytes;
    if (!queue.ensure(bytes + 2)) return "more";
    const { front, at } = queue;
    const end = at + bytes;
    if (front[end] !== CR || front[end + 1] !== NEWLINE) return this.#fail("expected CRLF after a bulk string");
    this.#add(front, at, end);
    queue.consume(bytes + 2);
    this.#bulkBytes = -1;
    this.#missing--;
    return null;
  }

  #bulkHeader(): ParseResult | null {
    const queue = this.#queue;
    if (!queue.ensure(1)) return "more";
    const first = queue.front[queue.at] ?? 0;
    if (first !== DOLLAR) return this.#fail(`expected '$', got '${String.fromCharCode(first)}'`);
    const end = queue.lineEnd(MAX_HEADER_BYTES);
    if (end < 0) return queue.length < MAX_HEADER_BYTES ? "more" : this.#fail("too big bulk count string");
    const bytes = parseHeader(queue.front, queue.at + 1, end);
    if (bytes < 0 || bytes > MAX_BULK_BYTES) return this.#fail("invalid bulk length");
    queue.consume(end - queue.at);
    this.#commandBytes += bytes;
    this.#bulkBytes = bytes;
    const { maxArgumentBytes, maxCommandBytes } = this.#limits;
    if (bytes > maxArgumentBytes || this.#commandBytes > maxCommandBytes) {
      if (this.oversized === 0) this.oversized = bytes > maxArgumentBytes ? bytes : this.#commandBytes;
      this.#commandBytes -= bytes;
      this.#skipBytes = bytes + 2;
    }
    return null;
  }

  #skip(): ParseResult | null {
    this.#skipBytes -= this.#queue.discard(this.#skipBytes);
    if (this.#skipBytes > 0) return "more";
    this.#add(EMPTY, 0, 0);
    this.#bulkBytes = -1;
    this.#missing--;
    return null;
  }

  #inline(first: number): ParseResult | null {
    if ((first < 0x20 && first !== NEWLINE && first !== CR && first !== 0x09) || first >= 0x7f) {
      const hex = first.toString(16).padStart(2, "0");
      return this.#fail(`expected '*' or an inline command, got byte 0x${hex}`);
    }
    const queue = this.#queue;
    const end = queue.lineEnd(MAX_INLINE_BYTES);
    if (end < 0) return queue.length < MAX_INLINE_BYTES ? "more" : this.#fail("too big inline request");
    const words = splitInline(queue.front, queue.at, end);
    queue.consume(end - queue.at);
    if (words === null) return this.#fail("unbalanced quotes in request");
    if (words.length === 0) return null;
    if (words.length > this.#limits.maxArguments) return this.#fail("invalid multibulk length");
    for (const word of words) this.#add(word, 0, word.length);
    return "command";
  }

  #add(buffer: Buffer, start: number, end: number): void {
    const index = this.argc++;
    if (index >= this.#used) this.#used = index + 1;
    this.#buffers[index] = buffer;
    this.#starts[index] = start;
    this.#ends[index] = end;
    this.#heldBytes += end - start + ARGUMENT_OVERHEAD_BYTES;
  }

  #fail(message: string): ParseResult {
    this.error = `Protocol error: ${message}`;
    return "error";
  }

  /** Length in bytes of argument `index`. */
  bytesOf(index: number): number {
    return (this.#ends[index] ?? 0) - (this.#starts[index] ?? 0);
  }

  /** A view of argument `index`; it keeps the received chunk alive, nobody writes to it. */
  bytes(index: number): Buffer {
    return (this.#buffers[index] ?? EMPTY).subarray(this.#starts[index], this.#ends[index]);
  }

  /** Argument `index`, one character per byte. */
  latin1(index: number): string {
    return (this.#buffers[index] ?? EMPTY).toString("latin1", this.#starts[index] ?? 0, this.#ends[index] ?? 0);
  }

  /** Argument `index` as text, invalid UTF-8 replaced. */
  utf8(index: number): string {
    return (this.#buffers[index] ?? EMPTY).toString("utf8", this.#starts[index] ?? 0, this.#ends[index] ?? 0);
  }

  /** True when argument `index` is `word` (lower case ASCII letters, digits and signs), in any case. */
  is(index: number, word: string): boolean {
    const buffer = this.#buffers[index] ?? EMPTY;
    const start = this.#starts[index] ?? 0;
    if ((this.#ends[index] ?? 0) - start !== word.length) return false;
    for (let i = 0; i < word.length; i++) {
      if (lowerCase(buffer[start + i] ?? 0) !== word.charCodeAt(i)) return false;
    }
    return true;
  }

  /** 32-bit hash of argument `index` in lower case: the same as hashName gives for the lower-case name. */
  nameHash(index: number): number {
    const buffer = this.#buffers[index] ?? EMPTY;
    const end = this.#ends[index] ?? 0;
    let hash = 0;
    for (let i = this.#starts[index] ?? 0; i < end; i++) hash = (Math.imul(hash, 31) + lowerCase(buffer[i] ?? 0)) | 0;
    return hash;
  }
}

/** See RespParser.nameHash. */
export function hashName(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return hash;
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The strict integer of a header line: digits from `at`, CRLF before `end`; all below zero is told as -1. */
function parseHeader(line: Buffer, at: number, end: number): number {
  const stop = end - 2;
  if (stop <= at || line[stop] !== CR) return BAD_NUMBER;
  const first = line[at] ?? 0;
  if (first === 0x2d) return line[at + 1] !== 0x30 && parseHeader(line, at + 1, end) > 0 ? -1 : BAD_NUMBER;
  if (first === 0x30 && stop > at + 1) return BAD_NUMBER;
  if (stop - at > 10) return BAD_NUMBER;
  let value = 0;
  for (let i = at; i < stop; i++) {
    const digit = (line[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return BAD_NUMBER;
    value = value * 10 + digit;
  }
  return value;
}
