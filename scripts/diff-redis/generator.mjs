// What is sent: episodes of random commands on a few keys, with the arguments that servers get wrong. An item is a
// command on the episode's own connection, one on a second connection (`other`), a pause, or a whole SCAN. What only puts
// both into the same state again (`settles`) is not compared. A key argument
// is an object, so that an episode can be run again under fresh names. Nothing here knows a server.
import { Random } from "./random.mjs";
import { rawRequest } from "./raw-requests.mjs";

const INTEGERS = [
  ..."0 1 -1 2 7 10 -10 100 65536 2147483647 -2147483648 4294967296 9007199254740993".split(" "),
  ..."9223372036854775806 9223372036854775807 -9223372036854775807 -9223372036854775808".split(" "),
  ..."9223372036854775808 -9223372036854775809 18446744073709551616 99999999999999999999 1".split(" "),
];
const NO_INTEGERS = ["", "abc", "+1", " 1", "1 ", "01", "-0", "1.5", "1e3", "0x10", "-", "--1", "1\0", "\n"];
const FLOATS = [
  ..."0 1 0.1 1.5 -2.25 3.0e3 1e-5 -1e-17 1e-18 5e-18 1e17 1e18 123456789012345678901234567890".split(" "),
  ..."0.30000000000000004 9007199254740993 18446744073709551615 18446744073709551616.5 .5 1. +5 -0 1e0".split(" "),
  ..."1e400 1e4932 -1e4932 1e5000 1e-5000 1e-4950 0x10 0x1.8p1 0xfp-2 1e+2 3.14159265358979323846".split(" "),
];
const NO_FLOATS = [
  "",
  "abc",
  " 1",
  "1 ",
  "1e",
  ".",
  "1.2.3",
  "inf",
  "-inf",
  "infinity",
  "nan",
  "0x",
  "1,5",
  "--1",
  "1_0",
];
const PAST = ["-1", "0", "-100", "-9223372036854775"];
const BAD_TIMES = [
  "9223372036854775807",
  "-9223372036854775808",
  "9223372036854775808",
  "",
  "abc",
  "1.5",
  "-9223372036854776",
];
const PATTERNS = [
  "*",
  "k?",
  "k[0-3]",
  "k[^1]",
  "*1",
  "k*",
  "[a-z]*",
  "k\\1",
  "nothing",
  "",
  "**",
  "k[",
  "k[a",
  "?*",
  "k[3-0]",
  "*\\",
  "k[\\1-3]",
];
/** Until then nothing that was set with a deadline ahead expires. */
const FAR_SECONDS = 4_102_444_800;

const text = (value) => Buffer.from(String(value), "latin1");

class Episode {
  constructor(random, resp) {
    this.random = random;
    this.resp = resp;
    this.items = [];
    this.keys = ["k0", "k1", "k2", "k3", "\0bin\r\n\xff", "k" + "x".repeat(200)].slice(0, 2 + random.below(5));
  }

  key() {
    return { key: this.random.chance(0.75) ? this.keys[0] : this.random.pick(this.keys) };
  }

  /** Letters of either case. */
  word(name) {
    if (this.random.chance(0.6)) return text(name);
    if (this.random.chance(0.5)) return text(name.toLowerCase());
    return text([...name].map((letter) => (this.random.chance(0.5) ? letter.toLowerCase() : letter)).join(""));
  }

  integer() {
    const { random } = this;
    if (random.chance(0.12)) return text(random.pick(NO_INTEGERS));
    return text(random.chance(0.5) ? random.pick(INTEGERS) : random.below(200) - 100);
  }

  float() {
    const { random } = this;
    if (random.chance(0.1)) return text(random.pick(NO_FLOATS));
    if (random.chance(0.5)) return text(random.pick(FLOATS));
    return text(((random.below(2_000_001) - 1_000_000) / random.pick([1, 10, 1000, 7])).toString());
  }

  value() {
    const { random } = this;
    const kind = random.below(10);
    if (kind < 3) return text(random.pick(INTEGERS));
    if (kind < 4) return text(random.pick(FLOATS));
    if (kind < 5) return text(random.pick([...NO_INTEGERS, ...NO_FLOATS]));
    if (kind < 6) return Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256)));
    if (kind < 7) return Buffer.alloc(random.pick([0, 100, 5000, 16_000]), 97 + random.below(26));
    return text(`v${random.below(50)}`);
  }

  seconds() {
    return 1000 + this.random.below(1_000_000);
  }

  /** A time that has passed, is far ahead, or is none. Relative ones never stand close to another. */
  relative(unit) {
    const { random } = this;
    if (random.chance(0.12)) return text(random.pick(PAST));
    if (random.chance(0.08)) return text(random.pick(BAD_TIMES));
    return text(unit === 1000 ? this.seconds() * 1000 + random.below(1000) : this.seconds());
  }

  absolute(unit) {
    const { random } = this;
    if (random.chance(0.12)) return text(random.pick([...PAST, "1"]));
    // In milliseconds Redis takes the largest one for a deadline: that is in `different`.
    if (random.chance(0.08)) return text(random.pick(unit === 1 ? BAD_TIMES : BAD_TIMES.slice(1)));
    return text((FAR_SECONDS + random.below(4)) * unit + (unit === 1000 ? random.below(1000) : 0));
  }

  say(...args) {
    this.items.push({ args });
  }

  clean() {
    for (const key of this.keys) this.items.push({ args: [text("DEL"), { key }], settles: true });
  }
}

function timeOption(e) {
  const name = e.random.pick(["EX", "PX", "EXAT", "PXAT"]);
  const unit = name.startsWith("P") ? 1000 : 1;
  return [e.word(name), name.endsWith("AT") ? e.absolute(unit) : e.relative(unit)];
}

function setOptions(e) {
  const words = [];
  while (e.random.chance(0.45) && words.length < 6) {
    const kind = e.random.below(8);
    if (kind < 3) words.push(...timeOption(e));
    else
      words.push(e.word(["NX", "XX", "GET", "KEEPTTL", "BLA"][Math.min(4, kind - 3 + (e.random.chance(0.9) ? 0 : 1))]));
  }
  return words;
}

function expireOptions(e) {
  const words = [];
  while (e.random.chance(0.35) && words.length < 4)
    words.push(e.word(e.random.pick(["NX", "XX", "GT", "LT", "GT", "LT", "FOO"])));
  return words;
}

/** [weight, how to say it]. */
const COMMANDS = [
  [8, (e) => [e.word("GET"), e.key()]],
  [10, (e) => [e.word("SET"), e.key(), e.value(), ...setOptions(e)]],
  [2, (e) => [e.word("SETNX"), e.key(), e.value()]],
  [2, (e) => [e.word("SETEX"), e.key(), e.relative(1), e.value()]],
  [2, (e) => [e.word("PSETEX"), e.key(), e.relative(1000), e.value()]],
  [2, (e) => [e.word("GETSET"), e.key(), e.value()]],
  [3, (e) => [e.word("GETDEL"), e.key()]],
  [
    5,
    (e) => [
      e.word("GETEX"),
      e.key(),
      ...(e.random.chance(0.6) ? timeOption(e) : e.random.pick([[], [e.word("PERSIST")], [text("BLA")]])),
    ],
  ],
  [1, (e) => [e.word("GETEX"), e.key(), e.word("PERSIST"), ...timeOption(e)]],
  [3, (e) => [e.word("MGET"), e.key(), ...(e.random.chance(0.7) ? [e.key(), e.key()] : [])]],
  [2, (e) => [e.word("MSET"), e.key(), e.value(), ...(e.random.chance(0.7) ? [e.key(), e.value()] : [])]],
  [1, (e) => [e.word("MSETNX"), e.key(), e.value()]],
  [4, (e) => [e.word(e.random.pick(["DEL", "UNLINK"])), e.key(), ...(e.random.chance(0.3) ? [e.key(), e.key()] : [])]],
  [2, (e) => [e.word("EXISTS"), e.key(), ...(e.random.chance(0.5) ? [e.key(), e.key()] : [])]],
  [2, (e) => [e.word("STRLEN"), e.key()]],
  [3, (e) => [e.word("APPEND"), e.key(), e.value()]],
  [3, (e) => [e.word(e.random.pick(["GETRANGE", "SUBSTR"])), e.key(), e.integer(), e.integer()]],
  [
    3,
    (e) => [
      e.word("SETRANGE"),
      e.key(),
      e.random.chance(0.6)
        ? text(e.random.below(300))
        : text(e.random.pick(["-1", "abc", "0", "9223372036854775807", "600000000", "-9223372036854775808"])),
      e.value(),
    ],
  ],
  [4, (e) => [e.word(e.random.pick(["INCR", "DECR"])), e.key()]],
  [5, (e) => [e.word(e.random.pick(["INCRBY", "DECRBY"])), e.key(), e.integer()]],
  [5, (e) => [e.word("INCRBYFLOAT"), e.key(), e.float()]],
  [3, (e) => [e.word("EXPIRE"), e.key(), e.relative(1), ...expireOptions(e)]],
  [3, (e) => [e.word("PEXPIRE"), e.key(), e.relative(1000), ...expireOptions(e)]],
  [3, (e) => [e.word("EXPIREAT"), e.key(), e.absolute(1), ...expireOptions(e)]],
  [3, (e) => [e.word("PEXPIREAT"), e.key(), e.absolute(1000), ...expireOptions(e)]],
  [5, (e) => [e.word(e.random.pick(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"])), e.key()]],
  [2, (e) => [e.word("PERSIST"), e.key()]],
  [2, (e) => [e.word("TYPE"), e.key()]],
  [1, (e) => [e.word("PING"), ...(e.random.chance(0.5) ? [e.value()] : [])]],
  [1, (e) => [e.word("ECHO"), e.value()]],
  [1, (e) => [e.word("SELECT"), e.integer()]],
  [1, (e) => [e.word("TIME")]],
  [1, (e) => [e.word("CLIENT"), e.word("SETNAME"), e.random.pick([text("me"), e.value()])]],
  [1, (e) => [e.word("CLIENT"), e.word(e.random.pick(["GETNAME", "ID", "INFO", "NOPE", "KILL", "NO-EVICT"]))]],
  [1, (e) => [e.word("CLIENT"), e.word("NO-EVICT"), text(e.random.pick(["on", "OFF", "maybe"]))]],
  [1, (e) => [e.word("CLIENT"), e.word("LIST"), e.random.pick([text("TYPE"), text("ID"), text("X")]), e.integer()]],
  [
    1,
    (e) => [
      e.word("CLIENT"),
      e.word("KILL"),
      e.word(e.random.pick(["ID", "ADDR", "TYPE", "USER", "SKIPME", "BLA"])),
      e.random.pick([text("0"), text("127.0.0.1:1"), text("abc")]),
    ],
  ],
  [1, (e) => [e.word("AUTH"), e.value(), ...(e.random.chance(0.6) ? [e.value()] : [])]],
  [1, (e) => [e.word("AUTH"), text("default"), e.value()]],
  [1, (e) => [e.word("HELLO"), text(e.random.pick(["1", "4", "abc", "", "-3"]))]],
  [
    1,
    (e) => [
      e.word("HELLO"),
      text(String(e.resp)),
      ...e.random.pick([
        [],
        [e.word("SETNAME"), text("x")],
        [e.word("AUTH"), text("default"), text("x")],
        [e.word("AUTH"), text("no"), text("x")],
        [text("BLA")],
        [e.word("SETNAME")],
        [e.word("SETNAME"), text("a b")],
      ]),
    ],
  ],
  [
    1,
    (e) => [
      e.word("COMMAND"),
      e.word("GETKEYS"),
      e.word(e.random.pick(["GET", "MSET", "SET", "PING", "NOPE", "DEL", "CLIENT"])),
      text("a"),
      text("b"),
      ...(e.random.chance(0.5) ? [text("c")] : []),
    ],
  ],
  [
    1,
    (e) => [
      e.word("COMMAND"),
      e.word("GETKEYSANDFLAGS"),
      e.word(e.random.pick(["GET", "MSET", "APPEND", "DEL", "GETEX"])),
      text("a"),
      text("b"),
    ],
  ],
  [
    1,
    (e) => [
      e.word("COMMAND"),
      e.word("INFO"),
      ...Array.from({ length: e.random.below(3) + 1 }, () => text(e.random.pick(DESCRIBED))),
    ],
  ],
  [
    1,
    (e) => [
      e.word("CONFIG"),
      e.word("SET"),
      ...e.random.pick([
        [text("nope"), text("1")],
        [text("databases"), text("2")],
        [text("slowlog-max-len"), text("128")],
        [text("timeout"), text("abc")],
        [text("timeout")],
        [text("timeout"), text("0"), text("timeout"), text("0")],
      ]),
    ],
  ],
  [1, (e) => [e.word("SLOWLOG"), e.word(e.random.pick(["LEN", "NOPE", "RESET"]))]],
  [1, (e) => [e.word("SLOWLOG"), e.word("GET"), text(e.random.pick(["0", "-2", "abc"]))]],
  [1, (e) => [e.word("LATENCY"), e.word(e.random.pick(["LATEST", "RESET"]))]],
  [1, (e) => [e.word("LATENCY"), e.word("HISTORY"), text("command")]],
  [1, (e) => [e.word("SHUTDOWN"), text(e.random.pick(["ABORT", "BLA"]))]],
  [1, (e) => [e.word(e.random.pick(["READONLY", "READWRITE", "ASKING"]))]],
  [1, (e) => [e.word("CLUSTER"), text("INFO")]],
  [
    1,
    (e) => [
      text(e.random.pick(["NOPE", "", "get\0", "G E T", "\xff\xfe"])),
      ...Array.from({ length: e.random.below(4) }, () => e.value()),
    ],
  ],
  [2, (e) => [text(e.random.pick(["EXEC", "DISCARD", "UNWATCH", "RESET"]))]],
];
const TOTAL = COMMANDS.reduce((sum, [weight]) => sum + weight, 0);

/** Of these COMMAND INFO says the same, byte for byte. */
const DESCRIBED = [
  ..."get setnx setex psetex getset getdel mget mset msetnx del unlink exists strlen append getrange".split(" "),
  ..."setrange incr decr incrby decrby incrbyfloat expire pexpire expireat pexpireat expiretime ttl pttl persist".split(
    " ",
  ),
  ..."type dbsize time ping echo select multi exec discard watch unwatch reset quit hello auth nope GET".split(" "),
];

function randomCommand(e) {
  let place = e.random.below(TOTAL);
  for (const [weight, make] of COMMANDS) {
    place -= weight;
    if (place < 0) return make(e);
  }
  return [text("PING")];
}

const named = (args) => args[0].toString("latin1").toUpperCase();

/** One argument more or less would stop the servers, close idle connections, or ask for what one of them has not. */
const NOT_CHANGED = new Set(["SHUTDOWN", "CLUSTER", "CONFIG"]);

/** Now and then too few or too many arguments. */
function command(e) {
  const args = randomCommand(e);
  if (NOT_CHANGED.has(named(args))) return args;
  if (e.random.chance(0.03) && args.length > 1) args.pop();
  else if (e.random.chance(0.02)) args.push(e.value());
  return args;
}

function ordinary(e, length) {
  while (e.items.length < length) e.say(...command(e));
}

/** Sent between MULTI and EXEC they are refused here, or end the transaction. */
const NOT_QUEUED = new Set(["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "RESET", "SHUTDOWN", "HELLO"]);

function queued(e, key) {
  for (;;) {
    // Nothing is added: it could be a second key, and leave the two servers in different states.
    const args = randomCommand(e).map((arg) => (Buffer.isBuffer(arg) ? arg : key));
    if (args.length > 1 && e.random.chance(0.03)) args.pop();
    if (!NOT_QUEUED.has(named(args))) return args;
  }
}

/** WATCH, MULTI and EXEC on one key, sometimes with another connection in between. */
function transactions(e, length) {
  const { random } = e;
  while (e.items.length < length) {
    const key = e.key();
    const watched = random.chance(0.6);
    if (watched) e.say(e.word("WATCH"), key, ...(random.chance(0.2) ? [key] : []));
    if (random.chance(0.3)) e.say(e.word("GET"), key);
    if (watched && random.chance(0.4))
      e.items.push({ other: true, args: [text(random.pick(["INCR", "DEL", "GET"])), key] });
    if (random.chance(0.1)) e.say(e.word("UNWATCH"));
    e.say(e.word("MULTI"));
    const count = random.below(6);
    for (let i = 0; i < count; i++) e.say(...queued(e, key));
    if (watched && random.chance(0.2)) e.items.push({ other: true, args: [text("SET"), key, e.value()] });
    if (random.chance(0.1)) e.say(e.word(random.pick(["MULTI", "WATCH"])), ...(random.chance(0.5) ? [key] : []));
    e.say(e.word(random.chance(0.85) ? "EXEC" : "DISCARD"));
    if (random.chance(0.5)) e.say(e.word("GET"), key);
  }
}

/** Deadlines that pass while the episode runs. */
function passing(e, length) {
  const { random } = e;
  while (e.items.length < length) {
    const key = e.key();
    e.say(text("SET"), key, e.value(), text("PX"), text(20 + random.below(30)));
    e.items.push({ waitMs: 120 });
    for (let i = random.below(4); i >= 0; i--) e.say(...command(e).map((arg) => (Buffer.isBuffer(arg) ? arg : key)));
    if (random.chance(0.3)) e.items.push({ scan: [] });
    e.say(text("DEL"), key);
  }
}

function scanning(e, length) {
  const { random } = e;
  while (e.items.length < length) {
    for (let i = 0; i < 10; i++) {
      const key = { key: `k${random.below(30)}` };
      if (random.chance(0.7)) e.say(text("SET"), key, text("v"));
      else e.say(text("DEL"), key);
    }
    const words = [];
    if (random.chance(0.5)) words.push(e.word("COUNT"), text(random.pick(["1", "3", "1000"])));
    if (random.chance(0.2)) words.push(e.word("TYPE"), text(random.pick(["string", "hash", "STRING"])));
    e.items.push({ scan: words, pattern: random.pick(PATTERNS) });
    e.items.push({ keys: random.pick(PATTERNS) });
    e.say(e.word("SCAN"), text(random.pick(["abc", "18446744073709551616", "1.5"])));
    e.say(
      e.word("SCAN"),
      text("0"),
      ...random.pick([
        [text("COUNT")],
        [text("COUNT"), text("0")],
        [text("COUNT"), text("x")],
        [text("BLA"), text("1")],
      ]),
    );
  }
}

/** CLIENT REPLY: the generator knows which commands are not answered. */
function silent(e, length) {
  const { random } = e;
  while (e.items.length < length) {
    if (random.chance(0.5)) {
      e.items.push({ args: [text("CLIENT"), text("REPLY"), text("SKIP")], silent: true });
      e.items.push({ args: [text("SET"), e.key(), e.value()], silent: true });
    } else {
      e.items.push({ args: [text("CLIENT"), text("REPLY"), text("OFF")], silent: true });
      for (let i = random.below(4); i >= 0; i--) e.items.push({ args: [text("INCR"), e.key()], silent: true });
      e.say(text("CLIENT"), text("REPLY"), text("ON"));
    }
    e.say(text("GET"), e.key());
  }
}

/** What is known to differ, with what puts both in the same state again. */
function different(e) {
  const { random } = e;
  const [first, second] = [{ key: "k0" }, { key: "k1" }];
  e.say(text("SET"), first, text("v"), text(random.pick(["PXAT", "PX"])), text("9007199254740993"));
  e.clean();
  e.say(text("MULTI"));
  e.say(text("SET"), first, text("1"));
  e.say(text("SET"), second, text("2"));
  e.say(text(random.pick(["EXEC", "DISCARD"])));
  e.clean();
  e.say(text("WATCH"), first, second);
  e.say(text("UNWATCH"));
  e.say(text("MSETNX"), first, text("1"), second, text("2"));
  e.clean();
  e.say(text(random.pick(["COMMAND", "CLIENT", "CONFIG", "SLOWLOG", "LATENCY"])), text("HELP"));
  e.say(text("INFO"), ...random.pick([[], [text("server")], [text("all")]]));
  e.say(text("CONFIG"), text("GET"), text(random.pick(["maxmemory", "save", "databases", "*", "nope"])));
  e.say(text("DBSIZE"));
  e.say(text("DEBUG"), text("SLEEP"), text("0"));
  e.say(text("COMMAND"), text("COUNT"));
}

/** Bytes that are no array of bulk strings, or nearly one: each on a connection of its own. */
function malformed(e, length) {
  while (e.items.length < length) e.items.push({ raw: rawRequest(e.random) });
}

const KINDS = [
  [60, (e) => ordinary(e, 60 + e.random.below(80))],
  [20, (e) => transactions(e, 80)],
  [3, (e) => passing(e, 20)],
  [6, (e) => scanning(e, 60)],
  [4, (e) => silent(e, 40)],
  [2, (e) => different(e)],
  [3, (e) => malformed(e, 20)],
];

/** Episode number `number` of a seed. */
export function episode(seed, number, resp) {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const e = new Episode(random, resp);
  let place = random.below(KINDS.reduce((sum, [weight]) => sum + weight, 0));
  const kind = KINDS.find(([weight]) => (place -= weight) < 0);
  kind[1](e);
  return { number, resp, items: e.items };
}
