// Goal: where users are configured nobody does what its role does not allow, whatever it sends and in whatever order. Method: a server
// over a service in memory, raw RESP.
import { beforeAll, describe, expect, it } from "vitest";
import { hashPassword, type Role, type UserEntry } from "../../src/cluster/index.js";
import { parsePasswordHash, verifyPassword } from "../../src/cluster/password.js";
import { startTestServer, testConfig } from "./harness.js";

const OK = { simple: "OK" };
const NO_AUTH = { error: "NOAUTH Authentication required." };
const WRONG = { error: "WRONGPASS invalid username-password pair or user is disabled." };

async function user(name: string, role: Role, password: string): Promise<UserEntry> {
  const hash = parsePasswordHash(await hashPassword(password));
  if (hash === null) throw new Error("a hash of our own cannot be read");
  return { name, role, password: hash };
}

let users: readonly UserEntry[] = [];

beforeAll(async () => {
  users = [
    await user("default", "read", "look"),
    await user("app", "write", "pass word"),
    await user("root", "admin", "s3cret"),
  ];
});

/** Some dozen passwords are checked, each of which takes a core for a while. */
const SLOWLY = { timeout: 60_000 };
const start = () => startTestServer({}, 1, { users });

describe("passwords", () => {
  it("are told from others by their hash, and each hash has its own salt", async () => {
    const [one, two] = [await hashPassword("p"), await hashPassword("p")];
    expect(one).not.toBe(two);
    for (const text of [one, two]) {
      const hash = parsePasswordHash(text);
      if (hash === null) throw new Error(text);
      expect([await verifyPassword("p", hash), await verifyPassword("P", hash)]).toEqual([true, false]);
    }
  });

  it("refuses hashes that are none, or that would take a node's memory", () => {
    const good = "scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    expect(parsePasswordHash(good)).not.toBeNull();
    for (const bad of [
      "",
      "secret",
      good.replace("16384", "16383"),
      good.replace("16384", "512"),
      good.replace("16384", "4194304"),
      good.replace("$8$", "$0$"),
      good.replace("$1$", "$17$"),
      good.replace("AAAAAAAAAAAAAAAAAAAAAA==", "AAAA"),
    ]) {
      expect(parsePasswordHash(bad), bad).toBeNull();
    }
  });
});

describe("a connection that has not said who it is", () => {
  it("may greet and leave, and nothing else", async () => {
    const { connect } = await start();
    const client = connect();
    for (const words of [["GET", "k"], ["SET", "k", "v"], ["PING"], ["INFO"], ["MULTI"], ["NOSUCH"], ["SHUTDOWN"]]) {
      expect(await client.ask(...words), words[0]).toEqual(NO_AUTH);
    }
    expect(await client.ask("HELLO", "3")).toMatchObject({
      error: expect.stringMatching(/^NOAUTH HELLO must be/) as string,
    });
    expect(await client.ask("RESET")).toEqual({ simple: "RESET" });
    expect(await client.ask("QUIT")).toEqual(OK);
  });

  it("has no room for long commands", async () => {
    const { connect } = await start();
    const many = connect();
    many.send(["AUTH", ...Array.from({ length: 10 }, () => "x")]);
    expect(await many.receive()).toEqual({ error: "ERR Protocol error: invalid multibulk length" });
    const long = connect();
    expect(await long.ask("AUTH", "app", "x".repeat(16 * 1024 + 1))).toMatchObject({
      error: expect.stringContaining("too large") as string,
    });
  });

  it("is told the same of an unknown name and of a wrong password", async () => {
    const { connect } = await start();
    const client = connect();
    expect(await client.ask("AUTH", "app", "wrong")).toEqual(WRONG);
    expect(await client.ask("AUTH", "nobody", "look")).toEqual(WRONG);
    expect(await client.ask("AUTH", "wrong")).toEqual(WRONG);
    expect(await client.ask("GET", "k")).toEqual(NO_AUTH);
  });
});

describe("a user", () => {
  it("may do what its role allows", async () => {
    const { connect } = await start();
    const client = connect();
    expect(await client.ask("AUTH", "look")).toEqual(OK);
    expect(await client.ask("GET", "k")).toBeNull();
    const denied = (command: string) => ({
      error: `NOPERM User default has no permissions to run the '${command}' command`,
    });
    expect(await client.ask("SET", "k", "v")).toEqual(denied("set"));
    expect(await client.ask("CONFIG", "GET", "*")).toEqual(denied("config|get"));
    expect(await client.ask("AUTH", "app", "pass word")).toEqual(OK);
    expect(await client.ask("SET", "k", "v")).toEqual(OK);
    expect(await client.ask("REPLICA", "LEARNER", "ON")).toMatchObject({
      error: expect.stringMatching(/^NOPERM/) as string,
    });
    expect(await client.ask("SHUTDOWN")).toMatchObject({ error: expect.stringMatching(/^NOPERM/) as string });
    expect(await client.ask("AUTH", "root", "s3cret")).toEqual(OK);
    expect(await client.ask("CONFIG", "GET", "maxclients")).toMatchObject([{ bulk: "maxclients" }, {}]);
    const info = await client.ask("CLIENT", "INFO");
    expect(JSON.stringify(info)).toContain("user=root");
    expect(await client.ask("AUTH", "root", "wrong")).toEqual(WRONG);
    expect(await client.ask("DEL", "k")).toBe(1); // it stays who it was
    expect(await client.ask("RESET")).toEqual({ simple: "RESET" });
    expect(await client.ask("GET", "k")).toEqual(NO_AUTH);
  });

  it("sees what others do as long as it may", async () => {
    const { connect } = await start();
    const [client, other] = [connect(), connect()];
    await client.ask("AUTH", "root", "s3cret");
    await other.ask("AUTH", "app", "pass word");
    expect(await client.ask("MONITOR")).toEqual(OK);
    await other.ask("SET", "k", "seen");
    expect(JSON.stringify(await client.receive())).toContain("seen");
    client.send(["AUTH", "app", "pass word"]);
    expect(await client.receive()).toEqual(OK);
    await other.ask("SET", "k", "unseen");
    expect(await client.ask("GET", "k")).toEqual({ bulk: "unseen" });
  });

  it("is known before what it sent behind its password is looked at", async () => {
    const { connect } = await start();
    const client = connect();
    client.send(["AUTH", "app", "pass word"], ["SET", "k", "v"], ["GET", "k"], ["AUTH", "x"], ["DEL", "k"]);
    expect(await client.receiveMany(5)).toEqual([OK, OK, { bulk: "v" }, WRONG, 1]);
    const other = connect();
    other.send(
      ["AUTH", "app", "wrong"],
      ["SET", "k", "v"],
      ["AUTH", "default", "look"],
      ["SET", "k", "v"],
      ["GET", "k"],
    );
    const noPermission = { error: "NOPERM User default has no permissions to run the 'set' command" };
    expect(await other.receiveMany(5)).toEqual([WRONG, NO_AUTH, OK, noPermission, null]);
  });

  it("greets with its password, and its name is taken then", async () => {
    const { connect } = await start();
    const client = connect();
    expect(await client.ask("HELLO", "3", "AUTH", "app", "wrong", "SETNAME", "a")).toEqual(WRONG);
    const hello = await client.ask("HELLO", "3", "AUTH", "app", "pass word", "SETNAME", "a");
    expect(hello).toMatchObject({ map: expect.arrayContaining([[{ bulk: "proto" }, 3]]) as unknown });
    expect(await client.ask("CLIENT", "GETNAME")).toEqual({ bulk: "a" });
  });

  it("cannot do in a transaction what it may not do outside, nor change who it is there", async () => {
    const { connect } = await start();
    const client = connect();
    await client.ask("AUTH", "look");
    expect(await client.ask("MULTI")).toEqual(OK);
    expect(await client.ask("SET", "k", "v")).toMatchObject({ error: expect.stringMatching(/^NOPERM/) as string });
    expect(await client.ask("EXEC")).toMatchObject({ error: expect.stringMatching(/^EXECABORT/) as string });
    expect(await client.ask("MULTI")).toEqual(OK);
    expect(await client.ask("AUTH", "root", "s3cret")).toEqual({ simple: "QUEUED" });
    expect(await client.ask("GET", "k")).toEqual({ simple: "QUEUED" });
    expect(await client.ask("EXEC")).toEqual([{ error: "ERR Command not allowed inside a transaction" }, null]);
    expect(await client.ask("SET", "k", "v")).toMatchObject({ error: expect.stringMatching(/^NOPERM/) as string });
  });

  it("is refused at once when very many passwords wait to be checked, and others are served", SLOWLY, async () => {
    const { connect } = await start();
    const good = connect();
    await good.ask("AUTH", "app", "pass word");
    const flood = Array.from({ length: 90 }, () => connect());
    for (const [i, client] of flood.entries()) client.send(["AUTH", "app", `guess ${String(i)}`]);
    expect(await good.ask("SET", "k", "v")).toEqual(OK);
    expect(await connect().ask("AUTH", "app", "pass word")).toEqual(OK); // it is known by now
    const told = await Promise.all(flood.map((client) => client.receive()));
    const busy = told.filter((reply) => JSON.stringify(reply).includes("BUSY")).length;
    expect(busy).toBeGreaterThanOrEqual(20);
    expect(told.filter((reply) => JSON.stringify(reply) === JSON.stringify(WRONG)).length).toBe(told.length - busy);
  });

  it("is closed when the configuration does not have it any more, or with another role; the others stay", async () => {
    const { connect, server } = await start();
    const [reader, writer] = [connect(), connect()];
    await reader.ask("AUTH", "look");
    await writer.ask("AUTH", "app", "pass word");
    const [kept, , admin] = users;
    if (kept === undefined || admin === undefined) throw new Error("users");
    server.reload({ ...testConfig(), users: [{ ...kept }, { ...admin, role: "write" }] });
    await writer.untilEnded();
    expect(await reader.ask("GET", "k")).toBeNull();
    const client = connect();
    expect(await client.ask("AUTH", "app", "pass word")).toEqual(WRONG);
    expect(await client.ask("AUTH", "root", "s3cret")).toEqual(OK);
    expect(await client.ask("SHUTDOWN")).toMatchObject({ error: expect.stringMatching(/^NOPERM/) as string });
  });
});
