/**
 * Splitting an inline command line into words, with the quoting rules of Redis: double quotes with \n \r \t \b \a \xHH
 * escapes, single quotes with \' only, and a closing quote must be followed by white space or the end.
 */

const SPACE = 0x20;
const DOUBLE = 0x22;
const SINGLE = 0x27;
const BACKSLASH = 0x5c;
const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x62, 0x08],
  [0x61, 0x07],
]);

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d) || byte === 0;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** The words of line[start..end), each an own copy; null when quotes are unbalanced. */
export function splitInline(line: Buffer, start: number, end: number): Buffer[] | null {
  const words: Buffer[] = [];
  let at = start;
  for (;;) {
    while (at < end && isSpace(line[at] ?? 0)) at++;
    if (at >= end) return words;
    const word = Buffer.allocUnsafeSlow(end - at);
    const splitter = new WordReader(line, at, end, word);
    if (!splitter.read()) return null;
    at = splitter.at;
    words.push(Buffer.from(word.subarray(0, splitter.length)));
  }
}

/** Reads one word, quotes and all. */
class WordReader {
  at: number;
  length = 0;
  readonly #line: Buffer;
  readonly #end: number;
  readonly #word: Buffer;

  constructor(line: Buffer, at: number, end: number, word: Buffer) {
    this.#line = line;
    this.at = at;
    this.#end = end;
    this.#word = word;
  }

  /** False: a quote was not closed, or something stands right behind its end. */
  read(): boolean {
    while (this.at < this.#end) {
      const byte = this.#line[this.at] ?? 0;
      if (isSpace(byte)) return true;
      this.at++;
      if (byte !== DOUBLE && byte !== SINGLE) {
        this.#put(byte);
        continue;
      }
      if (!this.#quoted(byte)) return false;
      return this.at >= this.#end || isSpace(this.#line[this.at] ?? 0);
    }
    return true;
  }

  #put(byte: number): void {
    this.#word[this.length++] = byte;
  }

  #quoted(quote: number): boolean {
    while (this.at < this.#end) {
      const byte = this.#line[this.at++] ?? 0;
      if (byte === quote) return true;
      if (byte === BACKSLASH && this.at < this.#end) this.#escape(quote);
      else this.#put(byte);
    }
    return false;
  }

  #escape(quote: number): void {
    const byte = this.#line[this.at] ?? 0;
    if (quote === SINGLE) {
      // Only \' is an escape here; any other backslash stands for itself.
      if (byte === SINGLE) this.at++;
      this.#put(byte === SINGLE ? SINGLE : BACKSLASH);
      return;
    }
    const high = hexDigit(this.#line[this.at + 1]);
    const low = hexDigit(this.#line[this.at + 2]);
    if (byte === 0x78 && high >= 0 && low >= 0 && this.at + 2 < this.#end) {
      this.#put(high * 16 + low);
      this.at += 3;
      return;
    }
    this.at++;
    this.#put(ESCAPES.get(byte) ?? byte);
  }
}
