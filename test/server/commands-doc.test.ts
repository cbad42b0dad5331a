// Goal: docs/commands.md says what commands there are, and nothing else. Method: it is made here from the list that the
// server itself uses, and from the rules of the differential test; `npx vitest run test/server/commands-doc.test.ts -u`
// writes it anew.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Command, type CommandSpec } from "../../src/server/command-table.js";
import { COMMANDS } from "../../src/server/commands.js";

const place = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const ruleShape = z.array(z.object({ name: z.string(), commands: z.string(), reason: z.string() }));

/** The design's list: what the server promises to have, by what it is about. */
const DESIGN: readonly (readonly [about: string, names: string])[] = [
  ["Connection", "HELLO AUTH PING ECHO SELECT QUIT RESET"],
  [
    "Clients",
    "CLIENT|SETINFO CLIENT|SETNAME CLIENT|GETNAME CLIENT|ID CLIENT|INFO CLIENT|LIST CLIENT|KILL CLIENT|NO-EVICT CLIENT|REPLY",
  ],
  ["Commands", "COMMAND COMMAND|COUNT COMMAND|DOCS COMMAND|INFO COMMAND|GETKEYS COMMAND|LIST"],
  ["Server", "INFO CONFIG|GET CONFIG|SET DBSIZE TIME SHUTDOWN SLOWLOG LATENCY HOTKEYS MONITOR"],
  ["Values", "GET SET SETNX SETEX PSETEX GETSET GETDEL GETEX MGET MSET STRLEN APPEND GETRANGE SETRANGE"],
  ["Numbers", "INCR INCRBY DECR DECRBY INCRBYFLOAT"],
  ["Keys", "DEL UNLINK EXISTS TYPE SCAN KEYS"],
  ["Deadlines", "EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST"],
  ["Conditions", "DELIFEQ DELEX DIGEST"],
  ["Transactions", "MULTI EXEC DISCARD WATCH UNWATCH"],
  ["Own", "VGET VSET PLOG"],
  ["Changes", "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBSUB|CHANNELS PUBSUB|NUMSUB PUBSUB|NUMPAT VWAIT"],
  [
    "Cluster",
    "CLUSTER|INFO CLUSTER|SLOTS CLUSTER|SHARDS CLUSTER|NODES CLUSTER|MYID CLUSTER|KEYSLOT CLUSTER|COUNTKEYSINSLOT READONLY READWRITE ASKING",
  ],
];

const everything = COMMANDS.flatMap((spec) => [spec, ...spec.subcommands]);
const REFUSED = /^Refused/;

function specOf(name: string): CommandSpec | undefined {
  return everything.find((spec) => spec.name === name.toLowerCase());
}

function shown(name: string): string {
  return name.toUpperCase().replace("|", " ");
}

function coverage(): string[] {
  return DESIGN.map(([about, names]) => {
    const cells = names.split(" ").map((name) => {
      const spec = specOf(name);
      return spec === undefined || REFUSED.test(spec.summary) ? `~~${shown(name)}~~` : shown(name);
    });
    return `| ${about} | ${cells.join(", ")} |`;
  });
}

function row(spec: CommandSpec): string {
  const command = new Command(spec);
  const arity = spec.arity < 0 ? `${String(-spec.arity)} or more` : String(spec.arity);
  const kind = spec.flags.includes("write") ? "writes" : spec.flags.includes("readonly") ? "reads" : "";
  const multi = command.outsideMulti ? "no" : "";
  return `| ${shown(spec.name)} | ${arity} | ${kind} | ${multi} | ${spec.since} | ${spec.summary} |`;
}

function documentText(rules: z.infer<typeof ruleShape>): string {
  const listed = everything.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return `# Commands

Made from the server's own list by \`test/server/commands-doc.test.ts\`; do not edit. \`npm run diff:redis\` compares the
answers with those of redis-server, byte by byte, in RESP2 and RESP3.

## What the design asks for

Struck out: known, and refused so far.

| about | commands |
|---|---|
${coverage().join("\n")}

SET takes NX, XX, GET, EX, PX, EXAT, PXAT, KEEPTTL, IFEQ, IFNE, IFDEQ and IFDNE; GETEX takes EX, PX, EXAT, PXAT and
PERSIST; the EXPIRE family takes NX, XX, GT and LT; SCAN takes MATCH, COUNT and TYPE. A condition that does not hold is
an answer, never an error: null, or 0.

## What a client can rely on

- \`-UNKNOWN\`: the outcome of a write is not known. Every other error: certainly not applied, and it never will be.
- MULTI to EXEC is one change of one key, atomic on every replica, and what it reads is what was there between its own
  steps. \`-CROSSKEY\` when a second key is named, already when it is queued. EXEC may answer \`-UNKNOWN\` as any write may.
- WATCH compares the key's version at EXEC with the one it read: nothing is held for it in between.
- SCAN goes over the keys that this node holds. A key that exists from the first call to the last, and that the node has
  learned, is shown exactly once; nothing is shown that a strong read does not find. A call looks at no more than 1,000 keys.
- DBSIZE counts what this node holds, without asking others; a key whose deadline has passed counts until somebody asks for it.
- Keyspace notifications (\`CONFIG SET notify-keyspace-events KEA\`, off at first) tell that a key was changed, not by which command: \`set\`, or
  \`del\` when it was deleted or has expired. They come from each node for the keys that it holds, at most once each, the latest of several that
  came at once; a subscriber that does not read misses some. Nobody else publishes: there is no PUBLISH.
- \`VWAIT key version timeout\` (ms) answers as soon as the key's version is another one: [version, value] by a strong read, [0, null] when it is
  gone, null when the time is up. Ask again with the version that was told, at any node of the key's group, and no change is missed but those in between.
- MONITOR shows what is taken, 16 arguments of 64 bytes each; a monitor that does not keep up misses lines. SLOWLOG tells
  commands by name and keys; HOTKEYS the keys that this node was asked for most in the last minutes, from a sample. Values appear in neither the log nor SLOWLOG.

## All commands

Arguments count the name. Reads are strong: a majority is asked.

| command | arguments | | in MULTI | since | |
|---|---|---|---|---|---|
${listed.map(row).join("\n")}

## Where answers differ from those of Redis

| name | commands | why |
|---|---|---|
${rules.map(({ name, commands, reason }) => `| ${name} | ${commands} | ${reason} |`).join("\n")}
`;
}

describe("docs/commands.md", () => {
  it("is what the list of commands and the rules of the differential test say", async () => {
    const module: unknown = await import(place("scripts/diff-redis/rules.mjs"));
    const rules = ruleShape.parse(z.object({ RULES: z.unknown() }).parse(module).RULES);
    await expect(documentText(rules)).toMatchFileSnapshot(place("docs/commands.md"));
  });

  it("covers every command of the design", () => {
    const missing = DESIGN.flatMap(([, names]) => names.split(" ")).filter((name) => specOf(name) === undefined);
    expect(missing).toEqual([]);
  });
});
