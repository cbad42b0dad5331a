// A RESP2 client of the tests' own: pipelining, a time-out per command, and an honest account of what happened to it
// (a reply, no connection left, no reply in time), because histories need those apart. It knows no command.
import { connect, type Socket } from "node:net";

/** An error reply, by its text without the "-". */
export class RespFailure {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }

  /** The stable prefix: UNKNOWN, NOQUORUM, ERR... */
  get prefix(): string {
    return this.message.split(" ", 1)[0] ?? "";
  }
}

export type RespValue = null | number | string | RespFailure | readonly RespValue[];

export type Answer =
  | { readonly status: "reply"; readonly value: RespValue }
  /** The connection ended after the command was written to it: nobody knows what became of it. */
  | { readonly status: "lost" }
  | { readonly status: "timeout" };

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly /** Null: no question, so there is no hurry. */ timer: NodeJS.Timeout | null;
}

export class RespClient {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #pending = "";
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#receive(chunk.toString("latin1"));
    });
    socket.on("error", () => {
      this.close();
    });
    socket.on("close", () => {
      this.close();
    });
  }

  /** Null: nobody listens, or not in time. */
  static connect(port: number, host = "127.0.0.1", timeoutMs = 2_000): Promise<RespClient | null> {
    return new Promise((resolve) => {
      const socket = connect({ port, host });
      const refuse = (): void => {
        socket.destroy();
        resolve(null);
      };
      const timer = setTimeout(refuse, timeoutMs);
      socket.once("error", refuse);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", refuse);
        resolve(new RespClient(socket));
      });
      socket.once("close", () => {
        clearTimeout(timer);
      });
    });
  }

  /** What came without a question. */
  readonly #unasked: RespValue[] = [];

  get closed(): boolean {
    return this.#closed;
  }

  call(words: readonly string[], timeoutMs = 10_000): Promise<Answer> {
    if (this.#closed) return Promise.resolve({ status: "lost" });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve({ status: "timeout" });
        this.close();
      }, timeoutMs);
      this.#waiting.push({ resolve, timer });
      this.#socket.write(encodeCommand(words));
    });
  }

  /** The value of a reply; anything else throws. For commands that must work. */
  async must(...words: readonly string[]): Promise<RespValue> {
    return valueOf(words, await this.call(words));
  }

  /**
   * The value of a reading command, repeated while the nodes say -NOQUORUM: right after kills, on a busy machine, that is
   * an answer, and says nothing about what is held.
   */
  async readInTime(...words: readonly string[]): Promise<RespValue> {
    const untilMs = performance.now() + 30_000;
    for (;;) {
      const answer = await this.call(words);
      const refused =
        answer.status === "reply" &&
        answer.value instanceof RespFailure &&
        answer.value.prefix === "NOQUORUM" &&
        performance.now() < untilMs;
      if (!refused) return valueOf(words, answer);
    }
  }

  /** The next thing that the node says unasked; null when the connection has ended. */
  next(): Promise<RespValue> {
    const [first] = this.#unasked;
    if (first !== undefined) {
      this.#unasked.shift();
      return Promise.resolve(first);
    }
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const told = (answer: Answer): void => {
        resolve(answer.status === "reply" ? answer.value : null);
      };
      this.#waiting.push({ resolve: told, timer: null });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    for (const { resolve, timer } of this.#waiting.splice(0)) {
      if (timer !== null) clearTimeout(timer);
      resolve({ status: "lost" });
    }
  }

  #receive(text: string): void {
    this.#pending += text;
    let at = 0;
    for (;;) {
      const parsed = parseReply(this.#pending, at);
      if (parsed === null) break;
      at = parsed.next;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) {
        this.#unasked.push(parsed.value);
        continue;
      }
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      waiting.resolve({ status: "reply", value: parsed.value });
    }
    this.#pending = this.#pending.slice(at);
  }
}

function valueOf(words: readonly string[], answer: Answer): RespValue {
  const what = words.join(" ").slice(0, 200);
  if (answer.status !== "reply") throw new Error(`${what}: ${answer.status}`);
  if (answer.value instanceof RespFailure) throw new Error(`${what}: ${answer.value.message}`);
  return answer.value;
}

/** A command as RESP bytes; words are strings of one byte a character. */
export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${String(word.length)}\r\n${word}\r\n`);
  return Buffer.from(`*${String(words.length)}\r\n${parts.join("")}`, "latin1");
}

interface Parsed {
  readonly value: RespValue;
  readonly next: number;
}

/** The reply that starts at `at`; null when it has not arrived whole. */
function parseReply(text: string, at: number): Parsed | null {
  const end = text.indexOf("\r\n", at);
  if (end < 0) return null;
  const line = text.slice(at + 1, end);
  const next = end + 2;
  switch (text[at]) {
    case "+":
      return { value: line, next };
    case "-":
      return { value: new RespFailure(line), next };
    case ":":
      return { value: Number(line), next };
    case "$": {
      const length = Number(line);
      if (length < 0) return { value: null, next };
      if (text.length < next + length + 2) return null;
      return { value: text.slice(next, next + length), next: next + length + 2 };
    }
    case "*":
      return parseArray(text, next, Number(line));
    default:
      throw new Error(`not RESP: ${JSON.stringify(text.slice(at, at + 40))}`);
  }
}

function parseArray(text: string, start: number, count: number): Parsed | null {
  if (count < 0) return { value: null, next: start };
  const values: RespValue[] = [];
  let next = start;
  for (let i = 0; i < count; i++) {
    const item = parseReply(text, next);
    if (item === null) return null;
    values.push(item.value);
    next = item.next;
  }
  return { value: values, next };
}
