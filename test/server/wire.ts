// A client for tests that shows replies as they are: a strict reader of RESP2 and RESP3, and a socket around it.
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

/** A reply in a form that tests can write down: type marks are kept where two types look alike. */
export type Reply =
  | null
  | number
  | boolean
  | { readonly simple: string }
  | { readonly error: string }
  | { readonly bulk: string }
  | { readonly verbatim: string }
  | { readonly nullArray: true }
  | readonly Reply[]
  | { readonly map: readonly (readonly [Reply, Reply])[] }
  | { readonly set: readonly Reply[] }
  | { readonly push: readonly Reply[] };

class Incomplete extends Error {}

class ReplyReader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #line(): string {
    const end = this.#bytes.indexOf("\r\n", this.at);
    if (end < 0) throw new Incomplete();
    const line = this.#bytes.toString("latin1", this.at, end);
    this.at = end + 2;
    return line;
  }

  #blob(length: number): string {
    if (this.at + length + 2 > this.#bytes.length) throw new Incomplete();
    const text = this.#bytes.toString("latin1", this.at, this.at + length);
    const end = this.#bytes.toString("latin1", this.at + length, this.at + length + 2);
    if (end !== "\r\n") throw new Error(`a bulk string ends with ${JSON.stringify(end)}`);
    this.at += length + 2;
    return text;
  }

  #many(count: number): Reply[] {
    return Array.from({ length: count }, () => this.read());
  }

  read(): Reply {
    const line = this.#line();
    const rest = line.slice(1);
    const count = Number(rest);
    switch (line[0]) {
      case "+":
        return { simple: rest };
      case "-":
        return { error: rest };
      case ":":
        return count;
      case "$":
        return count < 0 ? null : { bulk: this.#blob(count) };
      case "=":
        return { verbatim: this.#blob(count).replace(/^txt:/, "") };
      case "*":
        return count < 0 ? { nullArray: true } : this.#many(count);
      case ">":
        return { push: this.#many(count) };
      case "~":
        return { set: this.#many(count) };
      case "%":
        return { map: Array.from({ length: count }, () => [this.read(), this.read()] as const) };
      case "_":
        return null;
      case "#":
        return rest === "t";
      default:
        throw new Error(`no reply begins with ${JSON.stringify(line)}`);
    }
  }
}

export function encode(args: readonly (string | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${String(args.length)}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === "string" ? Buffer.from(arg, "latin1") : Buffer.from(arg);
    parts.push(Buffer.from(`$${String(bytes.length)}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

export class WireClient {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  ended = false;

  /** Why the connection failed, if it did. */
  failure = "";

  constructor(port: number, tls?: ConnectionOptions) {
    this.socket =
      tls === undefined
        ? connect({ port, host: "127.0.0.1", allowHalfOpen: true })
        : connectTls({ ...tls, port, host: "127.0.0.1" });
    this.socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake?.();
    });
    const end = (): void => {
      this.ended = true;
      this.#wake?.();
    };
    this.socket.on("end", end);
    this.socket.on("close", end);
    this.socket.on("error", (error) => {
      this.failure = error.message;
      end();
    });
  }

  send(...commands: readonly (readonly (string | Uint8Array)[])[]): void {
    this.socket.write(Buffer.concat(commands.map(encode)));
  }

  raw(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** The next reply; undefined when the server closed instead. */
  async receive(): Promise<Reply | undefined> {
    for (;;) {
      const reader = new ReplyReader(this.#bytes);
      try {
        const reply = reader.read();
        this.#bytes = this.#bytes.subarray(reader.at);
        return reply;
      } catch (error) {
        if (!(error instanceof Incomplete)) throw error;
      }
      if (this.ended) return undefined;
      await this.#more();
    }
  }

  async ask(...args: readonly (string | Uint8Array)[]): Promise<Reply | undefined> {
    this.send(args);
    return this.receive();
  }

  async receiveMany(count: number): Promise<(Reply | undefined)[]> {
    const replies: (Reply | undefined)[] = [];
    while (replies.length < count) replies.push(await this.receive());
    return replies;
  }

  /** Until the server has closed its side. */
  async untilEnded(): Promise<void> {
    while (!this.ended) await this.#more();
  }

  close(): void {
    this.socket.destroy();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
