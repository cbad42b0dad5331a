// A fresh plogdb cluster of three real nodes, as a benchmark sees it: where to send load, and what it counted.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { makeCertificates } from "./certificates.mjs";
import { freePorts, ServerProcess, waitUntil } from "./processes.mjs";

const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const NODES = 3;

/** One inline command; resolves with everything that came within the time, or "" when nobody listens. */
function ask(port, command, isWhole, ca) {
  return new Promise((resolve) => {
    let text = "";
    const where = { port, host: "127.0.0.1" };
    const say = () => socket.write(`${command}\r\n`);
    const socket = ca === null ? connect(where, say) : connectTls({ ...where, ca }, say);
    const finish = () => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(2_000, finish);
    socket.on("error", finish);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (isWhole(text)) finish();
    });
  });
}

function isWholeBulk(text) {
  const end = text.indexOf("\r\n");
  return end >= 0 && (text[0] !== "$" || text.length >= end + 4 + Number(text.slice(1, end)));
}

function configText(id, nodes, size, tls) {
  const own = nodes.find((node) => node.id === id);
  const lines = nodes.map((node) => `  ${node.id}: { peer: 127.0.0.1:${node.peer}, client: 127.0.0.1:${node.client} }`);
  return `cluster: bench
node: ${id}
data: [./${id}]
listen: 127.0.0.1:${own.client}
peer: 127.0.0.1:${own.peer}
nodes:
${lines.join("\n")}
storage: { size: ${size}, durability: flush }
logLevel: warn
${tls ? `tls: { cert: ./${id}.crt, key: ./${id}.key }\npeerTls: { cert: ./${id}.crt, key: ./${id}.key, ca: ./ca.crt }\n` : ""}`;
}

/** `tls`: clients and nodes speak TLS. */
export async function startPlogdb(dir, { size, nodeFlags, tls = false }) {
  const ports = await freePorts(2 * NODES);
  const nodes = Array.from({ length: NODES }, (_, i) => ({
    id: `n${i + 1}`,
    client: ports[i],
    peer: ports[NODES + i],
  }));
  const name = tls ? "plogdb-tls" : "plogdb";
  const home = join(dir, name);
  mkdirSync(home);
  const ids = nodes.map(({ id }) => id);
  if (tls) makeCertificates(home, "bench", ids);
  const ca = tls ? readFileSync(join(home, "ca.crt"), "latin1") : null;
  const start = (id) => {
    const flags = id === "n1" ? nodeFlags : [];
    return new ServerProcess(
      process.execPath,
      [...flags, COMMAND, "server", "--config", join(home, `${id}.yaml`)],
      home,
    );
  };
  const processes = nodes.map(({ id }) => {
    mkdirSync(join(home, id));
    writeFileSync(join(home, `${id}.yaml`), configText(id, nodes, size, tls));
    return start(id);
  });
  const clientPorts = nodes.map((node) => node.client);
  for (const port of clientPorts) {
    await waitUntil("plogdb serves", processes, async () =>
      /^(\$|_)/.test(await ask(port, "GET ready", isWholeBulk, ca)),
    );
  }
  return {
    name,
    protocol: "resp",
    ca,
    ports: clientPorts,
    processes,
    /** Ends one node and starts it on an empty disk. */
    async replace(index) {
      const { id } = nodes[index];
      await processes[index].end();
      rmSync(join(home, id), { recursive: true });
      mkdirSync(join(home, id));
      processes[index] = start(id);
    },
    async kill(index) {
      await processes[index].kill();
    },
    restart(index) {
      processes[index] = start(nodes[index].id);
    },
    async end(index) {
      await processes[index].end();
    },
    /** Null: it does not answer. */
    async statusOf(index) {
      const text = await ask(clientPorts[index], "REPLICA STATUS", isWholeBulk, ca);
      return text[0] === "$" ? JSON.parse(text.slice(text.indexOf("\r\n") + 2)) : null;
    },
    /** Sums over the nodes. Null: not told. */
    async counters() {
      const sums = { flushes: 0, messages: 0 };
      for (const port of clientPorts) {
        const info = await ask(port, "INFO plogdb", isWholeBulk, ca);
        sums.flushes += Number(/^flushes:(\d+)/m.exec(info)?.[1] ?? Number.NaN);
        sums.messages += Number(/^messages_sent:(\d+)/m.exec(info)?.[1] ?? Number.NaN);
      }
      return sums;
    },
  };
}
