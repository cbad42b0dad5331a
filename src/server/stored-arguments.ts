/**
 * The arguments of a command as handlers see them, and a copy of them that outlives the received bytes: what MULTI puts
 * aside until EXEC. It knows no command.
 */
import { hashName } from "./resp-parser.js";

export interface Arguments {
  /** Number of arguments, the command's name included. */
  readonly argc: number;
  /** Length of what broke a limit; 0 = nothing did. */
  readonly oversized: number;
  bytesOf(index: number): number;
  bytes(index: number): Buffer;
  /** One character per byte. */
  latin1(index: number): string;
  /** True when the argument is `word` (lower case ASCII), in any case. */
  is(index: number, word: string): boolean;
  nameHash(index: number): number;
}

const EMPTY: Buffer = Buffer.alloc(0);

export class StoredArguments implements Arguments {
  readonly oversized = 0;
  readonly #all: readonly Buffer[];

  constructor(from: Arguments) {
    this.#all = Array.from({ length: from.argc }, (_, index) => Buffer.from(from.bytes(index)));
  }

  get argc(): number {
    return this.#all.length;
  }

  bytes(index: number): Buffer {
    return this.#all[index] ?? EMPTY;
  }

  bytesOf(index: number): number {
    return this.bytes(index).length;
  }

  latin1(index: number): string {
    return this.bytes(index).toString("latin1");
  }

  is(index: number, word: string): boolean {
    return this.bytesOf(index) === word.length && this.latin1(index).toLowerCase() === word;
  }

  nameHash(index: number): number {
    return hashName(this.latin1(index).toLowerCase());
  }
}
