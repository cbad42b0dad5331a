// The load, in a process of its own so that it shares no event loop with what it measures: clients in a closed loop, each
// with its own connection, spread over the nodes. Told what to do by one message; answers "measuring" when the warm-up
// is over and "done" with the result. It knows connections by three methods (set, get, close) and no protocol.
import { GrpcConnection } from "./grpc-connection.mjs";
import { KEY_BYTES, RespConnection } from "./resp-connection.mjs";

const CONNECTIONS = { resp: RespConnection, grpc: GrpcConnection };

function keyName(number) {
  return `k${String(number).padStart(KEY_BYTES - 1, "0")}`;
}

function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

async function connectAll({ protocol, ports, clients, valueBytes, ca = null }) {
  const value = "v".repeat(valueBytes);
  const connections = Array.from({ length: clients }, () => new CONNECTIONS[protocol](value));
  await Promise.all(connections.map((connection, i) => connection.open(ports[i % ports.length], ca)));
  return connections;
}

/** Writes every key once. */
async function fill(connections, keys) {
  let next = 0;
  let failed = 0;
  const lanes = connections.map(async (connection) => {
    while (next < keys) {
      const key = keyName(next++);
      const ok = await new Promise((resolve) => {
        connection.set(key, "00000000", resolve);
      });
      if (!ok) failed++;
    }
  });
  await Promise.all(lanes);
  if (failed > 0) throw new Error(`${failed} of ${keys} keys could not be written`);
}

/** With `sliceMs` the result has `slices` too: operations and p99 of each such piece of the measured time. */
function run(connections, { readShare, keys, warmupMs, measureMs, sliceMs = 0 }) {
  return new Promise((resolve) => {
    const latencies = [];
    const result = { reads: 0, writes: 0, errors: 0, seconds: 0 };
    const slices = [];
    let sliced = 0;
    let slicer = null;
    const slice = () => {
      const own = Float64Array.from(latencies.slice(sliced)).sort();
      slices.push({ operations: own.length, p99Us: Math.round(quantile(own, 0.99)) });
      sliced = latencies.length;
    };
    let measuring = false;
    let running = connections.length;
    let stopping = false;
    let serial = 10_000_000;
    let startedMs = 0;

    const finish = () => {
      if (--running > 0) return;
      const sorted = Float64Array.from(latencies).sort();
      const [p50Us, p99Us, p999Us] = [0.5, 0.99, 0.999].map((q) => Math.round(quantile(sorted, q)));
      resolve({ ...result, p50Us, p99Us, p999Us, slices });
    };
    const loop = (connection) => {
      let sentMs = 0;
      let isRead = false;
      let consecutiveErrors = 0;
      const next = () => {
        if (stopping || consecutiveErrors > 100) return finish();
        isRead = Math.random() < readShare;
        const key = keyName(Math.floor(Math.random() * keys));
        sentMs = performance.now();
        if (isRead) connection.get(key, done);
        else connection.set(key, String(serial++), done);
      };
      const done = (ok) => {
        if (measuring) {
          if (!ok) result.errors++;
          else {
            if (isRead) result.reads++;
            else result.writes++;
            latencies.push((performance.now() - sentMs) * 1000);
          }
        }
        consecutiveErrors = ok ? 0 : consecutiveErrors + 1;
        if (ok) next();
        else setTimeout(next, 10); // A server that refuses is not asked in a tight loop.
      };
      next();
    };
    for (const connection of connections) loop(connection);
    setTimeout(() => {
      measuring = true;
      startedMs = performance.now();
      process.send({ event: "measuring" });
      if (sliceMs > 0) slicer = setInterval(slice, sliceMs);
      setTimeout(() => {
        measuring = false;
        stopping = true;
        clearInterval(slicer);
        result.seconds = (performance.now() - startedMs) / 1000;
        process.send({ event: "measured" });
      }, measureMs);
    }, warmupMs);
  });
}

process.once("message", async (job) => {
  try {
    const connections = await connectAll(job);
    if (job.fill) await fill(connections, job.keys);
    else process.send({ event: "done", result: await run(connections, job) });
    if (job.fill) process.send({ event: "done", result: null });
    for (const connection of connections) connection.close();
    process.disconnect();
  } catch (error) {
    process.send({ event: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
});
