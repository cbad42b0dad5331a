// Goal: a configuration is either complete and right, or refused with a line that says where and what to write.
// Method: the file of the README, changed in one place per claim.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, type FlagValues, loadConfig, parseConfig, type ServerConfig } from "../../src/cluster/index.js";

const GOOD = `cluster: demo
node: n1
data: [./data/n1]
listen: 127.0.0.1:7001
peer: 127.0.0.1:7101
http: 127.0.0.1:7201
nodes:
  n1: { peer: 127.0.0.1:7101, client: 127.0.0.1:7001, zone: a }
  n2: { peer: 127.0.0.1:7102, client: 127.0.0.1:7002, zone: b }
  n3: { peer: 127.0.0.1:7103, client: 127.0.0.1:7003, zone: c }
storage: { size: 4GiB, durability: flush }
`;

type Vars = Readonly<Record<string, string>>;

function parse(text: string, vars: Vars = {}, flags: FlagValues = {}): ServerConfig {
  return parseConfig(text, "/etc/plogdb/plogdb.yaml", vars, flags);
}

/** The lines of the refusal. */
function refusal(text: string, vars: Vars = {}, flags: FlagValues = {}): readonly string[] {
  try {
    parse(text, vars, flags);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  throw new Error("the configuration was taken");
}

/** GOOD with one line replaced (or removed). */
function withLine(start: string, line: string | null): string {
  const lines = GOOD.split("\n");
  const at = lines.findIndex((one) => one.trimStart().startsWith(start));
  expect(at).toBeGreaterThanOrEqual(0);
  lines.splice(at, 1, ...(line === null ? [] : [line]));
  return lines.join("\n");
}

describe("a good file", () => {
  it("becomes one complete value with nothing relative and nothing optional left in it", () => {
    const config = parse(GOOD);
    expect(config).toMatchObject({
      clusterId: "demo",
      nodeId: "n1",
      replica: 0,
      data: ["/etc/plogdb/data/n1"],
      listen: { host: "127.0.0.1", port: 7001 },
      peer: { host: "127.0.0.1", port: 7101 },
      http: { host: "127.0.0.1", port: 7201 },
      storage: { sizeBytes: 4 * 2 ** 30, durability: "flush", cacheBytes: 256 * 2 ** 20 },
      repair: { keysPerSecond: 20_000, bytesPerSecond: 64 * 2 ** 20, verifySeconds: 60 },
      timeouts: { requestMs: 3000 },
      limits: { maxClients: 10_000, maxPending: 16_384, maxOutputBytes: 64 * 2 ** 20 },
      logLevel: "info",
    });
    expect(config.nodes.map((node) => [node.id, node.replica, node.zone])).toEqual([
      ["n1", 0, "a"],
      ["n2", 1, "b"],
      ["n3", 2, "c"],
    ]);
  });

  it("numbers replicas by the byte order of their ids, whatever the order of the file", () => {
    const text = GOOD.replace("n1: {", "zz: {").replace("n3: {", "N3: {").replace("node: n1", "node: zz");
    const config = parse(text);
    expect(config.nodes.map((node) => node.id)).toEqual(["N3", "n2", "zz"]);
    expect(config.replica).toBe(2);
  });

  it("may leave out storage, http, zones and everything that has a default", () => {
    const text = GOOD.replace(/^storage.*$/m, "")
      .replace(/^http.*$/m, "")
      .replaceAll(/, zone: ./g, "");
    const config = parse(text);
    expect(config.http).toBeNull();
    expect(config.storage).toMatchObject({ sizeBytes: 4 * 2 ** 30, durability: "flush" });
    expect(config.nodes.map((node) => node.zone)).toEqual(["n1", "n2", "n3"]);
  });

  it.each([1, 3, 5, 7])("may have %i nodes", (count) => {
    expect(parse(clusterOf(count)).nodes).toHaveLength(count);
  });

  it.each([
    ["64MiB", 64 * 2 ** 20],
    ["64 mib", 64 * 2 ** 20],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["20MB", 20_000_000 - (20_000_000 % 4096)],
    ["1g", 2 ** 30],
    [String(2 ** 30), 2 ** 30],
    ["1TiB", 2 ** 40],
  ])("reads the size %s, in whole blocks", (size, bytes) => {
    expect(parse(withLine("storage:", `storage: { size: ${size} }`)).storage.sizeBytes).toBe(bytes);
  });

  it("lets merge run all day and scrubs slowly, unless it says otherwise", () => {
    expect(parse(GOOD).storage).toMatchObject({
      merge: { bytesPerSecond: 256 * 2 ** 20, operationsPerSecond: 1000, paused: false, hours: 0xff_ffff },
      scrub: { bytesPerSecond: 4 * 2 ** 20 },
    });
    const own = "storage: { merge: { rate: 64MiB, operations: 50, hours: 1-5, paused: true }, scrub: { rate: 0 } }";
    expect(parse(withLine("storage:", own)).storage).toMatchObject({
      merge: { bytesPerSecond: 64 * 2 ** 20, operationsPerSecond: 50, paused: true, hours: 0b11_1110 },
      scrub: { bytesPerSecond: 0 },
    });
  });

  it.each([
    ["0-23", 0xff_ffff],
    ["3", 0b1000],
    ["22-1", 0b1100_0000_0000_0000_0000_0011],
    ['"1-3,13"', 0b10_0000_0000_1110],
    ["5-4", 0xff_ffff],
  ])("reads the hours %s, first and last included", (hours, bits) => {
    expect(parse(withLine("storage:", `storage: { merge: { hours: ${hours} } }`)).storage.merge.hours).toBe(bits);
  });

  it("takes the settings of merge and scrub from variables and flags, over those of the file", () => {
    const text = withLine("storage:", "storage: { merge: { rate: 1MiB, hours: 2-3 } }");
    const vars = { PLOGDB_STORAGE_MERGE_RATE: "2MiB", PLOGDB_STORAGE_SCRUB_RATE: "1MiB" };
    const { merge, scrub } = parse(text, vars, { mergeRate: "3MiB", mergePaused: "true" }).storage;
    expect(merge).toMatchObject({ bytesPerSecond: 3 * 2 ** 20, paused: true, hours: 0b1100 });
    expect(scrub.bytesPerSecond).toBe(2 ** 20);
  });

  it("bounds the largest value by a quarter of an extent of the chosen size", () => {
    const small = parse(withLine("storage:", "storage: { size: 64MiB }")).storage.maxValueBytes;
    expect(small).toBeGreaterThan(100_000);
    expect(small).toBeLessThan(2 ** 20 / 4);
  });

  it("takes IPv6 in brackets and host names", () => {
    const text = GOOD.replace("listen: 127.0.0.1", "listen: '[::1]'").replace("'[::1]':7001", "'[::1]:7001'");
    expect(parse(text).listen).toEqual({ host: "::1", port: 7001 });
    expect(parse(withLine("listen:", "listen: localhost:7001")).listen.host).toBe("localhost");
  });

  it("takes port 0 where nobody has to find the node by it", () => {
    expect(parse(withLine("listen:", "listen: 127.0.0.1:0")).listen.port).toBe(0);
  });
});

function clusterOf(count: number): string {
  const nodes = Array.from(
    { length: count },
    (_, index) => `  n${index + 1}: { peer: 127.0.0.1:${7101 + index}, client: 127.0.0.1:${7001 + index} }`,
  );
  return `${GOOD.slice(0, GOOD.indexOf("nodes:"))}nodes:\n${nodes.join("\n")}\n`;
}

describe("variables and flags", () => {
  it("stand above the file, flags above variables", () => {
    const vars = { PLOGDB_LISTEN: "127.0.0.1:8001", PLOGDB_STORAGE_SIZE: "64MiB", PLOGDB_TIMEOUTS_REQUEST_MS: "500" };
    const config = parse(GOOD, vars, { listen: "127.0.0.1:9001" });
    expect(config.listen.port).toBe(9001);
    expect(config.storage).toMatchObject({ sizeBytes: 64 * 2 ** 20, durability: "flush" });
    expect(config.timeouts.requestMs).toBe(500);
  });

  it("resolve their paths from the working directory, those of the file from the file", () => {
    expect(parse(GOOD, { PLOGDB_DATA: "a,/b" }).data).toEqual([join(process.cwd(), "a"), "/b"]);
    expect(parse(GOOD, {}, { data: ["c"] }).data).toEqual([join(process.cwd(), "c")]);
  });

  it("are named in the refusal when they are what is wrong", () => {
    expect(refusal(GOOD, { PLOGDB_LISTEN: "nowhere" })).toEqual([expect.stringMatching(/^PLOGDB_LISTEN: listen: /)]);
    expect(refusal(GOOD, {}, { size: "many" })).toEqual([
      expect.stringMatching(/^--size: storage.size: "many" is not/),
    ]);
  });

  it("are refused when nearly right, and left alone when they are somebody else's", () => {
    expect(refusal(GOOD, { PLOGDB_LISTN: "x" })).toEqual([
      "PLOGDB_LISTN: is not a known variable; did you mean PLOGDB_LISTEN?",
    ]);
    expect(parse(GOOD, { PLOGDB_SERVICE_HOST: "10.0.0.1" }).nodeId).toBe("n1");
    expect(parse(GOOD, { PLOGDB_LISTEN: "" }).listen.port).toBe(7001);
  });

  it("can fill what the file leaves out", () => {
    expect(parse(withLine("node:", null), { PLOGDB_NODE: "n3" }).replica).toBe(2);
  });
});

describe("a refusal names file, line, key and the fix", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["a missing node", withLine("node:", null), /:1:1: node: is missing; add it, for example node: n1$/],
    ["an empty node", withLine("node:", "node:"), /:2:1: node: is missing/],
    ["a node that is a number", withLine("node:", "node: 1"), /:2:1: node: 1 is not text; put it in quotes: "1"/],
    [
      "a node of another cluster",
      withLine("node:", "node: n9"),
      /:2:1: node: "n9" is not among the nodes \(n1, n2, n3\)/,
    ],
    ["a name with a slash", withLine("cluster:", "cluster: a/b"), /:1:1: cluster: "a\/b" is not a name/],
    [
      "a path where a list must be",
      withLine("data:", "data: ./x"),
      /:3:1: data: "\.\/x" is not a list; write it in brackets/,
    ],
    ["an empty list", withLine("data:", "data: []"), /:3:1: data: must name 1 to 16 volumes/],
    ["no data", withLine("data:", null), /data: is missing; add it, for example data: \[/],
    ["a volume twice", withLine("data:", "data: [./a, ./a]"), /:3:13: data.1: "\.\/a" is named twice/],
    ["a volume that is a map", withLine("data:", "data: [{}]"), /data.0: a map is not a path/],
    [
      "no port",
      withLine("listen:", "listen: 127.0.0.1"),
      /:4:1: listen: "127.0.0.1" is not an address; write host:port/,
    ],
    ["a bare port", withLine("listen:", "listen: 7001"), /:4:1: listen: 7001 is not an address/],
    ["a port too high", withLine("listen:", "listen: 127.0.0.1:70000"), /has a port above 65535/],
    ["a peer without a port to dial", withLine("peer:", "peer: 127.0.0.1:0"), /:5:1: peer: .* names no port/],
    [
      "an open door",
      withLine("listen:", "listen: 0.0.0.0:7001"),
      /:4:1: listen: 0.0.0.0:7001 can be reached .* use a loopback address \(127\.0\.0\.1\)/,
    ],
    ["one port for two things", withLine("http:", "http: 127.0.0.1:7001"), /:6:1: http: .* already used for listen/],
    ["no nodes", GOOD.slice(0, GOOD.indexOf("nodes:")), /nodes: is missing; list every node/],
    [
      "nodes as a list",
      withLine("nodes:", "nodes: [n1]").replace(/^ {2}n.*\n/gm, ""),
      /:7:1: nodes: a list stands where a map/,
    ],
    [
      "an even number of nodes",
      clusterOf(4),
      /:7:1: nodes: has 4 nodes; use 1, 3, 5 or 7 for one group, or a multiple/,
    ],
    ["too many nodes", clusterOf(17), /nodes: has 17 nodes/],
    ["a node that is no map", withLine("n2:", "  n2: here"), /:9:3: nodes.n2: "here" stands where a map/],
    ["a node without a peer", withLine("n2:", "  n2: { client: 127.0.0.1:7002 }"), /:9:3: nodes.n2.peer: is missing/],
    [
      "an address of two nodes",
      GOOD.replace("7102", "7101"),
      /:9:9: nodes.n2.peer: 127.0.0.1:7101 is also the peer address of n1/,
    ],
    ["a node id with blanks", GOOD.replace("n2:", "n 2:"), /nodes.n 2: "n 2" is not a name/],
    [
      "a size without meaning",
      withLine("storage:", "storage: { size: 4GX }"),
      /:11:12: storage.size: "4GX" is not a size; write .* 512MiB or 4GiB/,
    ],
    [
      "a negative size",
      withLine("storage:", "storage: { size: -1 }"),
      /storage.size: -1 is not a whole number of bytes/,
    ],
    [
      "a size that is too small",
      withLine("storage:", "storage: { size: 1MiB }"),
      /"1MiB" is too small; use at least 16MiB/,
    ],
    [
      "an unknown durability",
      withLine("storage:", "storage: { durability: fast }"),
      /"fast" is not one of flush, device, none/,
    ],
    [
      "a value beyond the engine",
      withLine("storage:", "storage: { size: 64MiB, maxValue: 1MiB }"),
      /storage.maxValue: 1MiB is too large; .* storage.size larger/,
    ],
    ["storage that is no map", withLine("storage:", "storage: 4GiB"), /:11:1: storage: "4GiB" stands where a map/],
    [
      "a time that is no number",
      `${GOOD}timeouts: { requestMs: soon }\n`,
      /:12:13: timeouts.requestMs: "soon" is not a whole number from 10/,
    ],
    ["a fraction of a millisecond", `${GOOD}timeouts: { requestMs: 10.5 }\n`, /10.5 is not a whole number/],
    [
      "a misspelt key",
      withLine("listen:", "lisen: 127.0.0.1:7001"),
      /:4:1: lisen: is not a known key; did you mean listen\?/,
    ],
    [
      "a key from nowhere",
      `${GOOD}replicas: 3\n`,
      /:12:1: replicas: is not a known key; remove it \(known here: cluster, node,/,
    ],
    [
      "an inner misspelt key",
      withLine("storage:", "storage: { sise: 4GiB }"),
      /:11:12: storage.sise: .* did you mean size\?/,
    ],
    ["a key twice", `${GOOD}node: n2\n`, /:12:1: .*unique.*remove one of the two/i],
    ["a tab as indentation", GOOD.replace("  n2", "\tn2"), /:9:1: .*spaces/],
    ["a bracket left open", withLine("data:", "data: [./a"), /plogdb.yaml:\d+:\d+: is not YAML/],
    ["two documents", `${GOOD}---\n${GOOD}`, /is not YAML/],
    ["an alias to nothing", withLine("node:", "node: *nobody"), /plogdb.yaml:\d+:\d+: /],
    ["text instead of a map", "just words", /:1:1: "just words" stands where a map/],
    ["a list instead of a map", "- a\n- b\n", /:1:1: a list stands where a map/],
    ["an empty file", "", /:1:1: cluster: is missing/],
    ["a prototype as a key", `${GOOD}__proto__: { node: n2 }\n`, /__proto__: is not a known key/],
  ];

  it.each(cases)("%s", (_, text, pattern) => {
    expect(
      refusal(text).some((line) => pattern.test(line) && line.startsWith("/etc/plogdb/plogdb.yaml:")),
      refusal(text).join("\n"),
    ).toBe(true);
  });

  it("tells all problems at once", () => {
    const lines = refusal(
      withLine("node:", "node: n9").replace("7102", "7101").replace("127.0.0.1:7001\npeer", "0.0.0.0:7001\npeer"),
    );
    expect(lines).toHaveLength(3);
  });

  it("opens the door only where the file says that the network is trusted", () => {
    const text = withLine("listen:", "listen: 0.0.0.0:7001");
    expect(parse(`${text}protectedMode: false\n`).listen.host).toBe("0.0.0.0");
    expect(refusal(`${text}protectedMode: perhaps\n`)[0]).toMatch(/"perhaps" is neither true nor false/);
  });

  const HASH = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

  it("opens the door for clients where users are named or certificates asked for, and for nothing else", () => {
    const text = withLine("listen:", "listen: 0.0.0.0:7001");
    const users = `users: { app: { role: write, password: "${HASH}" } }\n`;
    const config = parse(text + users);
    expect(config.users).toMatchObject([{ name: "app", role: "write", password: { cost: 16_384 } }]);
    expect(refusal(text)[0]).toMatch(/^\/etc\S+:4:\d+: listen: .*name users/);
    expect(refusal(`${text}users: {}\n`)[0]).toMatch(/: listen: /);
    expect(refusal(`${text}tls: { cert: a, key: b }\n`)[0]).toMatch(/: listen: /);
    const tls = "tls: { cert: tls/n1.crt, key: /keys/n1.key, clientCa: ca.crt }\n";
    expect(parse(text + tls).tls).toEqual({
      cert: "/etc/plogdb/tls/n1.crt",
      key: "/keys/n1.key",
      clientCa: "/etc/plogdb/ca.crt",
    });
    const peer = withLine("peer: 127.0.0.1:7101", "peer: 0.0.0.0:7101");
    expect(refusal(peer + users)[0]).toMatch(/: peer: 0\.0\.0\.0:7101 can be reached.*peerTls/);
    const peerTls = "peerTls: { cert: tls/n1.crt, key: /keys/n1.key, ca: ca.crt }\n";
    const files = { cert: "/etc/plogdb/tls/n1.crt", key: "/keys/n1.key", ca: "/etc/plogdb/ca.crt" };
    expect(parse(peer + peerTls)).toMatchObject({ peer: { host: "0.0.0.0" }, peerTls: files });
    expect(refusal(peer + peerTls.replace(", ca: ca.crt", ""))[0]).toMatch(/peerTls\.ca: is missing/);
    const http = `${GOOD}http: 0.0.0.0:7201\n`.replace(/^http: 127.*\n/m, "");
    expect(refusal(http + users)[0]).toMatch(/: http: 0\.0\.0\.0:7201 can be reached.*httpTls/);
    const httpTls = tls.replace("tls:", "httpTls:");
    expect(refusal(http + httpTls.replace(", clientCa: ca.crt", ""))[0]).toMatch(/: http: .*clientCa/);
    expect(parse(http + httpTls)).toMatchObject({
      http: { port: 7201 },
      tls: null,
      httpTls: { clientCa: "/etc/plogdb/ca.crt" },
    });
    expect(refusal(GOOD.replace(/^http:.*\n/m, "") + httpTls)[0]).toMatch(/httpTls: is for the HTTP port; add http/);
  });

  it("refuses users without a role or a hash, and does not repeat what may be a password", () => {
    const withUser = (entry: string): string => `${GOOD}users: { app: ${entry} }\n`;
    expect(refusal(withUser("{ role: owner, password: hunter2 }"))).toEqual([
      expect.stringMatching(/users\.app\.role: "owner" is not one of read, write, admin/),
      expect.stringMatching(
        /users\.app\.password: is no hash of a password; write what `plogdb hash-password` makes of it$/,
      ),
    ]);
    expect(refusal(`${GOOD}users: { "a b": { role: read, password: "${HASH}" } }\n`)[0]).toMatch(/"a b" is no name/);
    expect(refusal(`${GOOD}tls: { cert: a }\n`)[0]).toMatch(/tls\.key: is missing/);
    expect(refusal(`${GOOD}tls: { cert: a, kye: b, key: c }\n`)[0]).toMatch(/did you mean key\?/);
  });

  it("refuses aliases that multiply without bound", () => {
    const layers = Array.from({ length: 12 }, (_, index) => {
      const inner = index === 0 ? "x" : Array.from({ length: 9 }, () => `*a${index - 1}`).join(", ");
      return `a${index}: &a${index} [${inner}]`;
    });
    expect(refusal(layers.join("\n"))[0]).toMatch(/plogdb.yaml:1:1: cannot be expanded/);
  });

  it("shortens what it quotes", () => {
    const [line = ""] = refusal(withLine("listen:", `listen: ${"x".repeat(10_000)}`));
    expect(line.length).toBeLessThan(300);
  });
});

describe("reading from disk", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plogdb-config-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("takes paths relative to the file", () => {
    const file = join(directory, "plogdb.yaml");
    writeFileSync(file, GOOD);
    expect(loadConfig(file, {}, {}).data).toEqual([join(directory, "data/n1")]);
  });

  it("says which file is not there", () => {
    const file = join(directory, "none.yaml");
    expect(() => loadConfig(file, {}, {})).toThrow(
      /none\.yaml: cannot be read \(ENOENT\); name an existing file after --config/,
    );
    expect(() => loadConfig(directory, {}, {})).toThrow(/cannot be read \(EISDIR\)/);
  });

  it("does not read a file that cannot be a configuration", () => {
    const file = join(directory, "large.yaml");
    writeFileSync(file, "#".repeat(2 * 2 ** 20));
    expect(() => loadConfig(file, {}, {})).toThrow(/is 2MiB long, which is no configuration/);
  });
});

describe("settings of merge and scrub that make no sense", () => {
  it.each([
    ["storage: { merge: { hours: 1-24 } }", /storage\.merge\.hours.*above 23/],
    ["storage: { merge: { hours: night } }", /storage\.merge\.hours.*no range of hours/],
    ["storage: { merge: { rate: 1KiB } }", /storage\.merge\.rate.*too small/],
    ["storage: { merge: { paused: maybe } }", /storage\.merge\.paused.*neither true nor false/],
    ["storage: { merge: { speed: 1 } }", /storage\.merge\.speed.*not a known key/],
    ["storage: { merge: fast }", /storage\.merge.*where a map/],
    ["storage: { scrub: { rat: 1MiB } }", /storage\.scrub\.rat.*did you mean rate/],
  ])("refuses %s", (line, message) => {
    const [first] = refusal(withLine("storage:", line));
    expect(first).toMatch(/plogdb\.yaml:\d+/);
    expect(first).toMatch(message);
  });

  it("names the flag that said it", () => {
    expect(refusal(GOOD, {}, { mergeHours: "25" })[0]).toMatch(/--merge-hours/);
  });
});
