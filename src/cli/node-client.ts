/**
 * One RESP command to one node, and the text of its answer: what commands for operators need. Not a client for programs.
 */
import { connect } from "node:net";
import type { Address } from "../cluster/index.js";

const MAX_REPLY_BYTES = 1 << 20;

export type Answer =
  | { readonly kind: "text"; readonly text: string }
  /** The node said no: its error. */
  | { readonly kind: "error"; readonly text: string }
  /** Nobody answered in time, or nobody is there. */
  | { readonly kind: "silent"; readonly text: string };

export function askNode(address: Address, words: readonly string[], timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ port: address.port, host: address.host });
    let received = Buffer.alloc(0);
    let over = false;
    const finish = (answer: Answer): void => {
      if (over) return;
      over = true;
      socket.destroy();
      resolve(answer);
    };
    const silent = (text: string): void => {
      finish({ kind: "silent", text });
    };
    const timer = setTimeout(() => {
      silent(`no answer within ${String(timeoutMs)} ms`);
    }, timeoutMs);
    socket.on("error", (error) => {
      silent(error.message === "" ? error.name : error.message);
    });
    socket.on("close", () => {
      clearTimeout(timer);
      silent("the connection was closed");
    });
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const answer = readAnswer(received);
      if (answer !== null) finish(answer);
      else if (received.length > MAX_REPLY_BYTES) silent("the answer is too long");
    });
    socket.on("connect", () => {
      const parts = words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`);
      socket.write(`*${String(words.length)}\r\n${parts.join("")}`);
    });
  });
}

/** Simple strings, errors, integers and bulk strings of RESP2; null: there is more to come. */
function readAnswer(bytes: Buffer): Answer | null {
  const end = bytes.indexOf("\r\n");
  if (end < 0) return null;
  const line = bytes.toString("utf8", 1, end);
  const mark = String.fromCharCode(bytes[0] ?? 0);
  if (mark === "-") return { kind: "error", text: line };
  if (mark !== "$") return { kind: "text", text: line };
  const length = Number(line);
  if (bytes.length < end + 2 + Math.max(length, 0) + 2 && length >= 0) return null;
  return { kind: "text", text: length < 0 ? "" : bytes.toString("utf8", end + 2, end + 2 + length) };
}
