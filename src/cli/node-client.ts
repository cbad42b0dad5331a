/**
 * One RESP command to one node, and the text of its answer: what commands for operators need. Not a client for programs.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Address, TlsFiles } from "../cluster/index.js";

const MAX_REPLY_BYTES = 1 << 20;

export type Answer =
  | { readonly kind: "text"; readonly text: string }
  /** The node said no: its error. */
  | { readonly kind: "error"; readonly text: string }
  /** Nobody answered in time, or nobody is there. */
  | { readonly kind: "silent"; readonly text: string };

/** How to be let in: who one is, and the files of this machine's own node where the port speaks TLS. */
export interface Access {
  readonly user: string | null;
  readonly password: string;
  readonly tls: TlsFiles | null;
}

export const NO_ACCESS: Access = { user: null, password: "", tls: null };

/** The node's certificate is that of the configuration, or of its authority; names are not compared, addresses often have none. */
function dial({ host, port }: Address, tls: TlsFiles | null): Socket {
  if (tls === null) return connect({ port, host });
  const [cert, key] = [readFileSync(tls.cert), readFileSync(tls.key)];
  const ca = tls.clientCa === null ? [cert] : [cert, readFileSync(tls.clientCa)];
  return connectTls({ host, port, cert, key, ca, minVersion: "TLSv1.3", checkServerIdentity: () => undefined });
}

export function askNode(
  address: Address,
  words: readonly string[],
  timeoutMs: number,
  access: Access = NO_ACCESS,
): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = dial(address, access.tls);
    let isLetIn = access.user === null;
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
      if (answer !== null && !isLetIn && answer.kind === "text") {
        isLetIn = true;
        received = Buffer.alloc(0);
        say(words);
      } else if (answer !== null) finish(answer);
      else if (received.length > MAX_REPLY_BYTES) silent("the answer is too long");
    });
    const say = (all: readonly string[]): void => {
      const parts = all.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`);
      socket.write(`*${String(all.length)}\r\n${parts.join("")}`);
    };
    socket.on(access.tls === null ? "connect" : "secureConnect", () => {
      say(access.user === null ? words : ["AUTH", access.user, access.password]);
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
