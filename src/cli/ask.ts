/**
 * One RESP command to one node and the first line of its answer: enough to see whether a node serves. Not a client.
 */
import { connect } from "node:net";

const MAX_LINE_BYTES = 4096;

/** The first line of the reply without its line end ("+PONG"), or null when there was none in time. */
export function ask(port: number, words: readonly string[], timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let text = "";
    const finish = (line: string | null): void => {
      socket.destroy();
      resolve(line);
    };
    socket.setTimeout(timeoutMs, () => {
      finish(null);
    });
    socket.on("error", () => {
      finish(null);
    });
    socket.on("close", () => {
      finish(null);
    });
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n");
      if (end >= 0) finish(text.slice(0, end));
      else if (text.length > MAX_LINE_BYTES) finish(null);
    });
    socket.on("connect", () => {
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join("")}`);
    });
  });
}
