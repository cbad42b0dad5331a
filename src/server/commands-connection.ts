/** Commands about the connection itself: greeting, names, protocol version, reply mode, and the end. */
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { REDIS_VERSION } from "./version.js";
import { NOT_INTEGER, SYNTAX_ERROR } from "./replies.js";
import type { RespParser } from "./resp-parser.js";

const NO_PASSWORD =
  "ERR AUTH <password> called without any password configured for the default user. " +
  "Are you sure your configuration is correct?";
const BAD_NAME = "ERR Client names cannot contain spaces, newlines or special characters.";
const CLUSTER_OFF = "ERR This instance has cluster support disabled";

export const ping: Handler = (client, args) => {
  if (args.argc > 2) client.out.error("ERR wrong number of arguments for 'ping' command");
  else if (args.argc === 2) client.out.bulk(args.bytes(1));
  else client.out.simple("PONG");
};

export const echo: Handler = (client, args) => {
  client.out.bulk(args.bytes(1));
};

export const auth: Handler = (client, args) => {
  client.out.error(args.argc > 3 ? SYNTAX_ERROR : NO_PASSWORD);
};

export const hello: Handler = (client, args) => {
  const { out } = client;
  let resp3 = client.resp3;
  if (args.argc > 1) {
    const version = digitsAt(args, 1);
    if (version === null) {
      out.error("ERR Protocol version is not an integer or out of range");
      return;
    }
    if (version !== "2" && version !== "3") {
      out.error("NOPROTO unsupported protocol version");
      return;
    }
    resp3 = version === "3";
  }
  const name = helloName(client, args);
  if (name === null) return;
  if (name !== undefined) client.name = name;
  client.resp3 = resp3;
  out.resp3 = resp3;
  greeting(client);
};

/** The name of SETNAME, undefined without one; null: an error was written. */
function helloName(client: Client, args: RespParser): string | undefined | null {
  let name: string | undefined;
  for (let index = 2; index < args.argc; index++) {
    if (args.is(index, "auth") && index + 2 < args.argc) {
      client.out.error(NO_PASSWORD);
      return null;
    }
    if (!args.is(index, "setname") || index + 1 >= args.argc) {
      client.out.error(`ERR Syntax error in HELLO option '${args.latin1(index)}'`);
      return null;
    }
    name = args.latin1(++index);
    if (!isPlain(name)) {
      client.out.error(BAD_NAME);
      return null;
    }
  }
  return name;
}

function greeting(client: Client): void {
  const { out } = client;
  out.map(7);
  out.text("server");
  out.text("redis");
  out.text("version");
  out.text(REDIS_VERSION);
  out.text("proto");
  out.integer(client.resp3 ? 3 : 2);
  out.text("id");
  out.integer(client.id);
  out.text("mode");
  out.text("standalone");
  out.text("role");
  out.text("master");
  out.text("modules");
  out.array(0);
}

/** Printable ASCII without spaces. */
function isPlain(text: string): boolean {
  return /^[!-~]*$/.test(text);
}

export const select: Handler = (client, args) => {
  const digits = digitsAt(args, 1);
  if (digits === null) client.out.error(NOT_INTEGER);
  else if (digits !== "0") client.out.error("ERR DB index is out of range");
  else client.out.simple("OK");
};

export const quit: Handler = (client) => {
  client.out.simple("OK");
  client.quit();
};

export const reset: Handler = (client) => {
  client.resp3 = false;
  client.replyMode = "on";
  client.name = "";
  client.out.resp3 = false;
  client.out.simple("RESET");
};

export const clusterDisabled: Handler = (client) => {
  client.out.error(CLUSTER_OFF);
};

export const clientId: Handler = (client) => {
  client.out.integer(client.id);
};

export const clientGetName: Handler = (client) => {
  if (client.name === "") client.out.null();
  else client.out.bulk(Buffer.from(client.name, "latin1"));
};

export const clientSetName: Handler = (client, args) => {
  const name = args.latin1(2);
  if (!isPlain(name)) {
    client.out.error(BAD_NAME);
    return;
  }
  client.name = name;
  client.out.simple("OK");
};

export const clientSetInfo: Handler = (client, args) => {
  const value = args.latin1(3);
  const isName = args.is(2, "lib-name");
  if (!isName && !args.is(2, "lib-ver")) {
    client.out.error(`ERR Unrecognized option '${args.latin1(2)}'`);
    return;
  }
  if (!isPlain(value)) {
    const option = isName ? "lib-name" : "lib-ver";
    client.out.error(`ERR ${option} cannot contain spaces, newlines or special characters.`);
    return;
  }
  if (isName) client.libName = value;
  else client.libVersion = value;
  client.out.simple("OK");
};

function describe(client: Client): string {
  const ageSeconds = Math.floor((Date.now() - client.connectedAtMs) / 1000);
  return (
    `id=${String(client.id)} addr=${client.remoteAddress} laddr=${client.localAddress} fd=-1 name=${client.name} ` +
    `age=${String(ageSeconds)} idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 ` +
    `qbuf=${String(client.pendingInputBytes)} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 ` +
    `oll=${String(client.pendingReplies)} omem=${String(client.pendingOutputBytes)} tot-mem=0 events=r ` +
    `cmd=${client.lastCommand} user=default redir=-1 resp=${client.resp3 ? "3" : "2"} ` +
    `lib-name=${client.libName} lib-ver=${client.libVersion}\n`
  );
}

/** CLIENT INFO, and CLIENT LIST, which tells of the own connection only. */
export const clientInfo: Handler = (client) => {
  client.out.verbatim(describe(client));
};

/** Nothing is ever evicted and no access times are kept: both switches are taken and change nothing. */
export const clientSwitch: Handler = (client, args) => {
  if (args.is(2, "on") || args.is(2, "off")) client.out.simple("OK");
  else client.out.error(SYNTAX_ERROR);
};

export const clientReply: Handler = (client, args) => {
  if (args.is(2, "on")) {
    client.replyMode = "on";
    client.out.simple("OK");
  } else if (args.is(2, "off")) {
    client.replyMode = "off";
  } else if (args.is(2, "skip")) {
    if (client.replyMode !== "off") client.replyMode = "skip";
  } else {
    client.out.error(SYNTAX_ERROR);
  }
};
