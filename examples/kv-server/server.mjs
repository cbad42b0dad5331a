// A small HTTP key-value server of its own: what a program looks like that links plogdb instead of talking to it over a
// port. Each process holds one replica; any of them answers any request. See README.md.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { openNode, PlogError } from "plogdb";

const MAX_BODY_BYTES = 1 << 20;

const { values } = parseArgs({
  options: {
    node: { type: "string" },
    nodes: { type: "string" },
    data: { type: "string" },
    http: { type: "string", default: "8001" },
    size: { type: "string", default: "1GiB" },
  },
});

/** n1=127.0.0.1:8101,n2=... as a map. */
function nodesFrom(text) {
  return Object.fromEntries(text.split(",").map((part) => part.split("=", 2)));
}

function answer(response, status, body = "", headers = {}) {
  response.writeHead(status, headers);
  response.end(body);
}

async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function get(node, key, response) {
  const found = await node.getWithVersion(key);
  if (found === null) answer(response, 404, "not found\n");
  else answer(response, 200, found.value, { etag: `"${found.version}"` });
}

/** The version that the client wants to replace: 0 = the key must not exist, null = whatever is there. */
function expectedVersion(request) {
  if (request.headers["if-none-match"] === "*") return 0;
  const match = /^"(\d+)"$/.exec(request.headers["if-match"] ?? "");
  return match === null ? null : Number(match[1]);
}

async function put(node, key, request, response) {
  const body = await bodyOf(request);
  if (body === null) return answer(response, 413, "too large\n");
  const expected = expectedVersion(request);
  const version = expected === null ? await node.set(key, body) : await node.compareAndSet(key, body, expected);
  if (version === null) answer(response, 412, "the version differs\n");
  else answer(response, 204, "", { etag: `"${version}"` });
}

async function handle(node, request, response) {
  const url = new URL(request.url, "http://localhost");
  const [, room, name, verb] = url.pathname.split("/");
  if (room === "stats") return answer(response, 200, `${JSON.stringify(node.stats(), null, 2)}\n`);
  if (room !== "kv" || !name) return answer(response, 404, "try /kv/KEY or /stats\n");
  const key = decodeURIComponent(name);
  if (request.method === "POST" && verb === "increment") {
    const sum = await node.increment(key, BigInt(url.searchParams.get("by") ?? "1"));
    return answer(response, 200, `${sum}\n`);
  }
  if (request.method === "GET") return get(node, key, response);
  if (request.method === "PUT") return put(node, key, request, response);
  if (request.method === "DELETE") return answer(response, (await node.delete(key)) ? 204 : 404);
  return answer(response, 405);
}

/** What went wrong, told so that the client knows whether its write happened. */
function fail(error, response) {
  if (!(error instanceof PlogError)) {
    const bad = error instanceof URIError || error instanceof SyntaxError;
    return answer(response, bad ? 400 : 500, `${error.message}\n`);
  }
  const status = error.retryable ? 503 : error.code === "UNKNOWN" ? 500 : 400;
  const headers = { "x-plogdb-code": error.code, ...(error.outcome && { "x-plogdb-outcome": error.outcome }) };
  return answer(response, status, `${error.message}\n`, headers);
}

async function main() {
  const { node: name, nodes, data, http, size } = values;
  if (!name || !nodes || !data)
    throw new Error("usage: server.mjs --node n1 --nodes n1=HOST:PORT,... --data DIR --http PORT");
  const node = await openNode({ cluster: "kv-example", node: name, nodes: nodesFrom(nodes), data, storage: { size } });
  const server = createServer((request, response) => {
    handle(node, request, response).catch((error) => fail(error, response));
  });
  server.listen(Number(http), "127.0.0.1", () => {
    console.log(`${name} serves http://127.0.0.1:${server.address().port}/kv/KEY`);
  });
  const stop = async (exitCode) => {
    server.close();
    server.closeAllConnections();
    await node.close();
    process.exit(exitCode);
  };
  process.once("SIGTERM", () => stop(0));
  process.once("SIGINT", () => stop(0));
  node.failed.then((error) => {
    console.error(`${name} cannot go on: ${error.message}`);
    stop(1);
  });
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
