// Ports for tests that start servers. They lie below the range that the system hands out to outgoing connections, so that
// nobody takes the port between its check and its use, nor that of a dead node; test workers have stretches of their own.
import { createServer } from "node:net";

const FIRST_PORT = 10_000;
const STRETCH = 2500;
const STRETCHES = 8;
const ATTEMPTS = 200;

const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % STRETCHES;
const first = FIRST_PORT + worker * STRETCH;
let next = Math.floor(Math.random() * STRETCH); // another run on the machine is unlikely to ask for the same ones

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** `count` free ports (1 to 1000) in one stretch, ascending by one; the same again only after all others were given. */
export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (next + count > STRETCH) next = 0;
    const ports = Array.from({ length: count }, (_, i) => first + next + i);
    next += count;
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
  }
  throw new Error("no free ports");
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}
