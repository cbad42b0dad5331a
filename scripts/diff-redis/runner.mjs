// Running an episode against both servers at once and comparing what they answer, reply by reply; and making an episode
// with a difference shorter. Names of keys get a prefix of their own at every run, so that no run sees another's keys.
import { explain } from "./rules.mjs";
import { encode, parse, replyEnd, Wire } from "./wire.mjs";

const REPLY_MS = 20_000;
/** A request that waits for more bytes is not answered. */
const RAW_MS = 300;
/** "(": no reply came. */
const NO_MORE = 0x28;
const BATCH = 32;
/** How long a node may take to learn of a key that the other two hold (see the rule "learned-later"). */
const LEARNING_TRIES = 40;
const LEARNING_MS = 50;
/** Answers of a node that is too busy, or whose round was taken over. An episode with one is run again. */
const UNDECIDED = /^-(UNKNOWN|NOQUORUM|BUSY|LOADING) /;
const TRIES = 4;
const FAR_MS = 2n ** 53n - 1n - 10n ** 13n;
let runs = 0;

const CONTAINERS = new Set(["CLIENT", "COMMAND", "CONFIG", "SLOWLOG", "LATENCY"]);

function nameOf(args) {
  const first = args[0].toString("latin1").toUpperCase();
  return CONTAINERS.has(first) && args.length > 1 ? `${first} ${args[1].toString("latin1").toUpperCase()}` : first;
}

function isFar(args) {
  return args.some((arg) => /^\d{16,19}$/.test(arg.toString("latin1")) && BigInt(arg.toString("latin1")) > FAR_MS);
}

/** One server's side of an episode. */
class Side {
  constructor(port, prefix) {
    this.port = port;
    this.prefix = prefix;
    this.main = new Wire(port);
    this.other = null;
  }

  args(args) {
    return args.map((arg) =>
      Buffer.isBuffer(arg) ? arg : Buffer.concat([this.prefix, Buffer.from(arg.key, "latin1")]),
    );
  }

  send(items) {
    this.main.send(Buffer.concat(items.map((item) => encode(this.args(item.args)))));
  }

  async ask(wire, ...args) {
    wire.send(encode(args));
    return wire.receive(REPLY_MS);
  }

  async askOther(args) {
    this.other ??= new Wire(this.port);
    return this.ask(this.other, ...this.args(args));
  }

  /** All keys of this run that match, sorted: as the reply of one command. */
  async scan(words, pattern) {
    const match = Buffer.concat([this.prefix, Buffer.from(pattern ?? "*", "latin1")]);
    let cursor = "0";
    const found = [];
    for (let step = 0; step < 100_000; step++) {
      const reply = await this.ask(
        this.main,
        Buffer.from("SCAN"),
        Buffer.from(cursor),
        Buffer.from("MATCH"),
        match,
        ...words,
      );
      const value = parse(reply);
      if (typeof value !== "object" || value === null) return reply;
      cursor = value.items[0];
      found.push(...value.items[1].items);
      if (cursor === "0") return Buffer.from(JSON.stringify([...new Set(found)].sort()));
    }
    return Buffer.from("(endless)");
  }

  async keys(pattern) {
    const reply = await this.ask(
      this.main,
      Buffer.from("KEYS"),
      Buffer.concat([this.prefix, Buffer.from(pattern, "latin1")]),
    );
    const value = parse(reply);
    return typeof value === "object" && value !== null ? Buffer.from(JSON.stringify(value.items.toSorted())) : reply;
  }

  close() {
    this.main.close();
    this.other?.close();
  }
}

/** The elements of an array's bytes. */
function elementsOf(bytes) {
  if (bytes[0] !== 0x2a) return null;
  const elements = [];
  let at = bytes.indexOf("\r\n") + 2;
  while (at < bytes.length) {
    const end = replyEnd(bytes, at);
    elements.push(bytes.subarray(at, end));
    at = end;
  }
  return elements;
}

/** What is known of a pair of replies; EXEC is taken apart. */
class Judge {
  constructor(intended) {
    this.intended = intended;
    this.queue = [];
    this.difference = null;
    /** Ours could not decide in time: what it answered says nothing about commands. */
    this.undecided = false;
  }

  judge(item, args, mine, other) {
    const name = nameOf(args);
    const queued = mine.equals(other) && mine.toString("latin1") === "+QUEUED\r\n";
    if (queued) this.queue.push(args);
    const waiting = this.queue;
    if (["EXEC", "DISCARD", "RESET"].includes(name) && !queued) this.queue = [];
    if (mine.equals(other) || this.difference !== null || item.settles === true) return;
    const [a, b] = name === "EXEC" ? [elementsOf(mine), elementsOf(other)] : [null, null];
    if (a !== null && b !== null && a.length === b.length && a.length === waiting.length) {
      a.forEach((element, index) => this.#compare(item, waiting[index], element, b[index]));
    } else this.#compare(item, args, mine, other);
  }

  count(name) {
    this.intended.set(name, (this.intended.get(name) ?? 0) + 1);
  }

  #compare(item, args, mine, other) {
    if (mine.equals(other) || this.difference !== null) return;
    if (UNDECIDED.test(mine.toString("latin1"))) this.undecided = true;
    const rule = explain({ name: nameOf(args), argc: args.length, ours: mine, theirs: other, farTime: isFar(args) });
    if (rule !== null) this.count(rule.name);
    else this.difference = { item, args, ours: mine, theirs: other };
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const LAST = Buffer.from("the last one");

/** Everything that bytes on a connection of their own are answered with, a plain command behind them. */
async function askRaw(port, bytes) {
  const wire = new Wire(port);
  wire.send(bytes);
  wire.send(encode([Buffer.from("ECHO"), LAST]));
  const replies = [];
  for (;;) {
    const reply = await wire.receive(RAW_MS);
    replies.push(reply);
    if (reply.includes(LAST) || reply[0] === NO_MORE) break;
  }
  wire.close();
  return Buffer.concat(replies);
}

/** What is asked and answered by itself: a whole SCAN, KEYS, or a command on the other connection. */
function askWhole(side, item) {
  if (item.raw !== undefined) return askRaw(side.port, item.raw);
  if (item.scan !== undefined) return side.scan(item.scan, item.pattern);
  return item.keys === undefined ? side.askOther(item.args) : side.keys(item.keys);
}

/** Returns the first difference that no rule explains, or null; counts those that one does in `intended`. */
export async function runEpisode(episode, ports, intended = new Map()) {
  for (let attempt = 1; ; attempt++) {
    const counts = new Map();
    const judge = await runOnce(episode, ports, counts);
    if (judge.undecided && attempt < TRIES) {
      intended.set("undecided", (intended.get("undecided") ?? 0) + 1);
      continue;
    }
    for (const [name, count] of counts) intended.set(name, (intended.get(name) ?? 0) + count);
    return judge.difference;
  }
}

async function runOnce({ items, resp }, ports, intended) {
  const prefix = Buffer.from(`e${runs++}:`);
  const sides = [new Side(ports.ours, prefix), new Side(ports.redis, prefix)];
  const judge = new Judge(intended);
  const both = async (ask) => Promise.all(sides.map(ask));
  try {
    if (resp === 3) await both((side) => side.ask(side.main, Buffer.from("HELLO"), Buffer.from("3")));
    let at = 0;
    while (at < items.length && judge.difference === null) {
      const item = items[at];
      if (item.waitMs !== undefined) {
        await pause(item.waitMs);
        at++;
      } else if (item.args === undefined || item.other === true) {
        const ask = (side) => askWhole(side, item);
        let [mine, theirs] = await both(ask);
        for (let i = 0; (item.scan ?? item.keys) !== undefined && !mine.equals(theirs) && i < LEARNING_TRIES; i++) {
          await pause(LEARNING_MS);
          mine = await ask(sides[0]);
          if (mine.equals(theirs)) judge.count("learned-later");
        }
        const told = item.args === undefined ? [item.raw ?? Buffer.from("SCAN")] : sides[0].args(item.args);
        judge.judge(item, told, mine, theirs);
        at++;
      } else {
        const batch = [];
        while (at < items.length && batch.length < BATCH && items[at].args !== undefined && items[at].other !== true)
          batch.push(items[at++]);
        for (const side of sides) side.send(batch);
        for (const one of batch) {
          if (one.silent === true) continue;
          const [mine, theirs] = await both((side) => side.main.receive(REPLY_MS));
          judge.judge(one, sides[0].args(one.args), mine, theirs);
        }
      }
    }
  } finally {
    for (const side of sides) side.close();
  }
  return judge;
}

/** The shortest list of items found that still shows a difference. Silent items stay: who is answered must be known. */
export async function shrink(episode, ports, most = 300) {
  let { items } = episode;
  let difference = await runEpisode(episode, ports);
  let tries = 0;
  if (difference === null) return { items, difference };
  if (items.some((item) => item.silent)) return { items, difference };
  for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = items.length - size; from > -size && tries < most; from -= size) {
      const fewer = [...items.slice(0, Math.max(0, from)), ...items.slice(Math.max(0, from) + size)];
      if (fewer.length === items.length) continue;
      tries++;
      const found = await runEpisode({ ...episode, items: fewer }, ports);
      if (found !== null) [items, difference] = [fewer, found];
    }
  }
  return { items, difference };
}
