// npm run diff:redis -- --commands N --seed S [--resp 2|3] [--episode K]: the same random commands to a redis-server and
// to a cluster of three nodes, replies compared byte by byte. What may differ is a list of rules with reasons
// (diff-redis/rules.mjs). A difference is made short and shown, with the line that replays it; the last line is JSON.
import { parseArgs } from "node:util";
import { episode } from "./diff-redis/generator.mjs";
import { runEpisode, shrink } from "./diff-redis/runner.mjs";
import { redisVersion, startServers } from "./diff-redis/servers.mjs";

const PARALLEL = 16;
const MAX_SHOWN = 10;

const { values } = parseArgs({
  options: {
    commands: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    resp: { type: "string" },
    episode: { type: "string" },
  },
});
const wanted = Number(values.commands);
const seed = Number(values.seed);
const only = values.episode === undefined ? null : Number(values.episode);
if (![wanted, seed].every(Number.isSafeInteger) || !["2", "3", undefined].includes(values.resp)) {
  console.error("usage: npm run diff:redis -- --commands N --seed S [--resp 2|3] [--episode K]");
  process.exit(2);
}
const version = redisVersion();
if (version === null) {
  console.error("redis-server is not installed: sudo apt-get install -y redis-server");
  process.exit(3);
}

function shown(bytes) {
  const line = JSON.stringify(bytes.toString("latin1"));
  return line.length > 300 ? `${line.slice(0, 300)}... (${bytes.length} bytes)` : line;
}

function itemLine(item) {
  const arg = (one) => (Buffer.isBuffer(one) ? shown(one) : `<${JSON.stringify(one.key)}>`);
  if (item.raw !== undefined) return `(bytes) ${shown(item.raw)}`;
  if (item.waitMs !== undefined) return `(wait ${item.waitMs} ms)`;
  if (item.args === undefined) return `(all of ${item.scan ? "SCAN" : "KEYS"} ${item.pattern ?? item.keys ?? ""})`;
  return `${item.other ? "(other connection) " : ""}${item.args.map(arg).join(" ")}`;
}

/** By default both protocols in turn. */
const respOf = (number) => (values.resp === undefined ? 2 + (number % 2) : Number(values.resp));

const servers = await startServers();
const started = performance.now();
const intended = new Map();
let commands = 0;
let next = only ?? 0;
let differences = 0;
console.log(`redis-server ${version} on port ${servers.redis}; ours on ${servers.ours.join(", ")}; seed ${seed}`);

async function report(number, ports, first) {
  differences++;
  if (differences > MAX_SHOWN) return;
  const made = episode(seed, number, respOf(number));
  const { items, difference } = await shrink(made, ports);
  const lines = [
    `--- episode ${number}, RESP${made.resp}: npm run diff:redis -- --seed ${seed} --resp ${made.resp} --episode ${number}`,
  ];
  if (difference === null) lines.push("  (it did not come again when the episode was run alone)");
  else {
    for (const item of items) lines.push(`  ${itemLine(item)}`);
  }
  const { args, ours, theirs } = difference ?? first;
  lines.push(`  at     ${args.map(shown).join(" ")}`, `  ours   ${shown(ours)}`, `  theirs ${shown(theirs)}`);
  console.log(lines.join("\n"));
}

async function work() {
  while (only === null ? commands < wanted : next === only) {
    const number = next++;
    const made = episode(seed, number, respOf(number));
    commands += made.items.length;
    const ports = { redis: servers.redis, ours: servers.ours[number % servers.ours.length] };
    const difference = await runEpisode(made, ports, intended);
    if (difference !== null) await report(number, ports, difference);
  }
}

try {
  await Promise.all(Array.from({ length: only === null ? PARALLEL : 1 }, work));
} finally {
  await servers.stop();
}
const seconds = Math.round((performance.now() - started) / 100) / 10;
console.log(
  JSON.stringify({
    commands,
    differences,
    intended: Object.fromEntries(intended),
    seed,
    resp: values.resp ?? "both",
    redis: version,
    seconds,
  }),
);
process.exit(differences === 0 ? 0 : 1);
