// Arrivals at a rate, whatever becomes of them: what many clients that know nothing of each other do to servers that cannot
// keep up. A process of its own. Commands go out on many connections, pipelined; every reply is classified and timed from
// its arrival on: ok in time, ok too late for anybody, refused at once, another error. One job by message, one result back.
import { connect } from "node:net";
import { KEY_BYTES } from "./resp-connection.mjs";

const TURN_MS = 1;

function bulk(text) {
  return `$${text.length}\r\n${text}\r\n`;
}

function quantile(values, q) {
  const sorted = Float64Array.from(values).sort();
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0);
}

class PipelinedConnection {
  #socket;
  #sent = [];
  #first = 0;
  #rest = "";
  #skip = 0;
  #onReply;

  constructor(onReply) {
    this.#onReply = onReply;
  }

  open(port) {
    return new Promise((resolve, reject) => {
      this.#socket = connect({ port, host: "127.0.0.1", noDelay: true }, resolve);
      this.#socket.on("error", reject);
      this.#socket.on("data", (chunk) => this.#receive(chunk.toString("latin1")));
    });
  }

  get waiting() {
    return this.#sent.length - this.#first;
  }

  send(commands, count, nowMs) {
    for (let i = 0; i < count; i++) this.#sent.push(nowMs);
    this.#socket.write(commands, "latin1");
  }

  close() {
    this.#socket.destroy();
  }

  #receive(text) {
    let pending = this.#rest + text;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, pending.length);
      this.#skip -= skipped;
      pending = pending.slice(skipped);
    }
    let at = 0;
    for (let end = pending.indexOf("\n"); end >= 0 && this.#skip === 0; end = pending.indexOf("\n", at)) {
      const line = pending.slice(at, end - 1);
      at = end + 1;
      const length = line[0] === "$" ? Number(line.slice(1)) : -1;
      if (length >= 0) {
        const have = pending.length - at;
        this.#skip = Math.max(0, length + 2 - have);
        at = Math.min(pending.length, at + length + 2);
      }
      this.#onReply(line, this.#sent[this.#first++]);
      if (this.#first > 1024 && this.#first * 2 > this.#sent.length) {
        this.#sent = this.#sent.slice(this.#first);
        this.#first = 0;
      }
    }
    this.#rest = pending.slice(at);
  }
}

async function run({ ports, connections: count, keys, valueBytes, readShare, perSecond, seconds, patienceMs, burst }) {
  const value = "v".repeat(valueBytes);
  const good = [];
  const refused = [];
  const result = { offered: 0, late: 0, errors: {}, unanswered: 0 };
  const onReply = (line, sentMs) => {
    const tookMs = performance.now() - sentMs;
    if (line[0] !== "-") {
      if (tookMs <= patienceMs) good.push(tookMs * 1000);
      else result.late++;
    } else if (line.startsWith("-BUSY")) refused.push(tookMs * 1000);
    else {
      const name = line.slice(1).split(" ", 1)[0];
      result.errors[name] = (result.errors[name] ?? 0) + 1;
    }
  };
  const connections = Array.from({ length: count }, () => new PipelinedConnection(onReply));
  await Promise.all(connections.map((connection, i) => connection.open(ports[i % ports.length])));
  process.send({ event: "measuring" });
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  await new Promise((resolve) => {
    const turn = () => {
      const nowMs = performance.now();
      const due = Math.floor(((Math.min(nowMs, endMs) - startMs) / 1000) * perSecond);
      while (result.offered < due) {
        const many = Math.min(burst, due - result.offered);
        let commands = "";
        for (let i = 0; i < many; i++) {
          const key = `k${String(Math.floor(Math.random() * keys)).padStart(KEY_BYTES - 1, "0")}`;
          const isRead = Math.random() < readShare;
          commands += isRead ? `*2\r\n$3\r\nGET\r\n${bulk(key)}` : `*3\r\n$3\r\nSET\r\n${bulk(key)}${bulk(value)}`;
        }
        connections[Math.floor(Math.random() * count)].send(commands, many, nowMs);
        result.offered += many;
      }
      if (nowMs < endMs) setTimeout(turn, TURN_MS);
      else resolve();
    };
    turn();
  });
  const measuredSeconds = (performance.now() - startMs) / 1000;
  const [goodInTime, refusedInTime] = [good.length, refused.length];
  process.send({ event: "measured" });
  await new Promise((resolve) => setTimeout(resolve, 2 * patienceMs + 4000));
  for (const connection of connections) {
    result.unanswered += connection.waiting;
    connection.close();
  }
  return {
    ...result,
    seconds: measuredSeconds,
    goodPerSec: Math.round(goodInTime / measuredSeconds),
    refusedPerSec: Math.round(refusedInTime / measuredSeconds),
    goodP50Us: quantile(good, 0.5),
    goodP99Us: quantile(good, 0.99),
    refusedP50Us: quantile(refused, 0.5),
    refusedP99Us: quantile(refused, 0.99),
  };
}

process.once("message", async (job) => {
  try {
    process.send({ event: "done", result: await run(job) });
    process.disconnect();
  } catch (error) {
    process.send({ event: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
});
