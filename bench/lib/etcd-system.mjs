// A fresh etcd cluster of three processes on the same machine and disk, with etcd's own defaults. Debian: apt-get
// install etcd-server.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePorts, ServerProcess, waitUntil } from "./processes.mjs";

const NODES = 3;

/** Null when etcd is not installed. */
export function etcdVersion() {
  const { status, stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  return status === 0 ? (/etcd Version: (\S+)/.exec(stdout)?.[1] ?? "unknown") : null;
}

async function fetchText(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return await response.text();
  } catch {
    return "";
  }
}

function metric(text, name) {
  return Number(new RegExp(`^${name} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
}

export async function startEtcd(dir) {
  const ports = await freePorts(2 * NODES);
  const nodes = Array.from({ length: NODES }, (_, i) => ({
    id: `e${i + 1}`,
    client: ports[i],
    peer: ports[NODES + i],
  }));
  const home = join(dir, "etcd");
  mkdirSync(home);
  const initial = nodes.map(({ id, peer }) => `${id}=http://127.0.0.1:${peer}`).join(",");
  const start = ({ id, client, peer }) => {
    const args = [
      ["--name", id],
      ["--data-dir", join(home, id)],
      ["--listen-client-urls", `http://127.0.0.1:${client}`],
      ["--advertise-client-urls", `http://127.0.0.1:${client}`],
      ["--listen-peer-urls", `http://127.0.0.1:${peer}`],
      ["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
      ["--initial-cluster", initial],
      ["--initial-cluster-state", "new"],
      ["--initial-cluster-token", `bench-${ports[0]}`],
      ["--log-level", "error"],
    ];
    return new ServerProcess("etcd", args.flat(), home);
  };
  const processes = nodes.map(start);
  for (const { client } of nodes) {
    const url = `http://127.0.0.1:${client}/health`;
    await waitUntil("etcd serves", processes, async () => (await fetchText(url)).includes('"health":"true"'));
  }
  return {
    name: "etcd",
    protocol: "grpc",
    ports: nodes.map((node) => node.client),
    processes,
    async kill(index) {
      await processes[index].kill();
    },
    restart(index) {
      processes[index] = start(nodes[index]);
    },
    /** Index of the node that leads, -1 = nobody says so. */
    async leader() {
      for (const [index, { client }] of nodes.entries()) {
        const options = { method: "POST", body: "{}", signal: AbortSignal.timeout(2_000) };
        const answer = await fetch(`http://127.0.0.1:${client}/v3/maintenance/status`, options).then((one) =>
          one.json(),
        );
        if (answer.leader === answer.header?.member_id) return index;
      }
      return -1;
    },
    /** Flushes of the log and of the database. etcd counts bytes to peers, not messages. */
    async counters() {
      let flushes = 0;
      for (const { client } of nodes) {
        const text = await fetchText(`http://127.0.0.1:${client}/metrics`);
        flushes += metric(text, "etcd_disk_wal_fsync_duration_seconds_count");
        flushes += metric(text, "etcd_disk_backend_commit_duration_seconds_count");
      }
      return { flushes, messages: Number.NaN };
    },
  };
}
