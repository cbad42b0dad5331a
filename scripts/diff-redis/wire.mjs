// Bytes of the Redis protocol for the differential test: requests, replies cut apart without being understood more than
// needed, and a connection that sends a batch and gives back each reply's own bytes.
import { connect } from "node:net";

export function encode(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) parts.push(Buffer.from(`$${arg.length}\r\n`), arg, Buffer.from("\r\n"));
  return Buffer.concat(parts);
}

/** Where the reply that begins at `at` ends, or -1 while it is not all there. */
export function replyEnd(bytes, at) {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return -1;
  const type = String.fromCharCode(bytes[at]);
  const count = Number(bytes.toString("latin1", at + 1, line));
  const after = line + 2;
  if ("$=!".includes(type)) {
    if (count < 0) return after;
    return after + count + 2 <= bytes.length ? after + count + 2 : -1;
  }
  if (!"*~%>".includes(type) || count <= 0) return after;
  let end = after;
  for (let i = 0; i < (type === "%" ? 2 * count : count); i++) {
    end = end < bytes.length ? replyEnd(bytes, end) : -1;
    if (end < 0) return -1;
  }
  return end;
}

/** A reply as a value: strings as latin1, containers as { type, items }; for rules, never for the comparison itself. */
export function parse(bytes, at = 0) {
  return parseAt(bytes, at).value;
}

function parseAt(bytes, at) {
  const line = bytes.indexOf("\r\n", at);
  const type = String.fromCharCode(bytes[at]);
  const text = bytes.toString("latin1", at + 1, line);
  const after = line + 2;
  if (type === "$" || type === "=") {
    const count = Number(text);
    if (count < 0) return { value: null, end: after };
    return { value: bytes.toString("latin1", after, after + count), end: after + count + 2 };
  }
  if ("*~%".includes(type)) {
    const items = [];
    let end = after;
    for (let i = 0; i < (type === "%" ? 2 : 1) * Number(text); i++) {
      const item = parseAt(bytes, end);
      items.push(item.value);
      end = item.end;
    }
    return { value: Number(text) < 0 ? null : { type, items }, end };
  }
  if (type === "_") return { value: null, end: after };
  return { value: type === ":" ? Number(text) : type + text, end: after };
}

export class Wire {
  #socket;
  #bytes = Buffer.alloc(0);
  #wake = () => undefined;
  #ended = false;

  constructor(port) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    for (const event of ["end", "close", "error"]) this.#socket.on(event, end);
  }

  send(bytes) {
    this.#socket.write(bytes);
  }

  /** The next reply's bytes; what came instead when none does in time or the connection ends. */
  async receive(timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const end = this.#bytes.length > 0 ? replyEnd(this.#bytes, 0) : -1;
      if (end > 0) {
        const reply = this.#bytes.subarray(0, end);
        this.#bytes = this.#bytes.subarray(end);
        return reply;
      }
      if (this.#ended) return Buffer.from("(closed)");
      const left = deadline - performance.now();
      if (left <= 0) return Buffer.from("(no reply in time)");
      await this.#more(left);
    }
  }

  /** Everything up to the end of the connection. */
  async rest(timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    while (!this.#ended && performance.now() < deadline) await this.#more(deadline - performance.now());
    return this.#bytes;
  }

  #more(timeoutMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close() {
    this.#socket.destroy();
  }
}
