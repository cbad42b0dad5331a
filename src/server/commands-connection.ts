/** Commands about the connection itself: greeting, names, protocol version, reply mode, and the end. */
import { digitsAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { REDIS_VERSION } from "./version.js";
import { cString, NOT_INTEGER, SYNTAX_ERROR, wrongArity } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";

const NO_PASSWORD =
  "ERR AUTH <password> called without any password configured for the default user. " +
  "Are you sure your configuration is correct?";
const WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled.";
const HELLO_FIRST =
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be " +
  "used to authenticate the client and select the RESP protocol version at the same time";
const BEYOND_INT = "ERR value is out of range, value must between -2147483648 and 2147483647";
const BAD_NAME = "ERR Client names cannot contain spaces, newlines or special characters.";

const NOTHING = new Uint8Array(0);

export const ping: Handler = (client, args) => {
  if (args.argc > 2) wrongArity(client.out, "ping");
  else if (!client.resp3 && client.context.feed.subscriptions.count(client) > 0) {
    // As Redis: a connection that hears messages is answered with something like one.
    client.out.array(2);
    client.out.text("pong");
    client.out.bulk(args.argc === 2 ? args.bytes(1) : NOTHING);
  } else if (args.argc === 2) client.out.bulk(args.bytes(1));
  else client.out.simple("PONG");
};

export const echo: Handler = (client, args) => {
  client.out.bulk(args.bytes(1));
};

/**
 * Without users in the configuration there is one, "default", who needs no password; as in Redis the password alone is then
 * taken for a mistake.
 */
export const auth: Handler = (client, args) => {
  if (args.argc > 3) client.out.error(SYNTAX_ERROR);
  else if (client.context.users.areConfigured) {
    const name = args.argc === 3 ? args.latin1(1) : "default";
    authenticate(client, name, args.bytes(args.argc - 1), (out) => {
      out.simple("OK");
    });
  } else if (args.argc === 2) client.out.error(NO_PASSWORD);
  else if (args.latin1(1) !== "default") client.out.error(WRONG_PASSWORD);
  else client.out.simple("OK");
};

/** Checks the password later; what came behind it waits. `welcome` writes the reply when it is right. */
function authenticate(client: Client, name: string, password: Uint8Array, welcome: (out: ReplyWriter) => void): void {
  if (!client.settled()) return;
  const { users } = client.context;
  const said = Buffer.from(password).toString("latin1");
  client.later(
    (answer) => {
      client.beginAuthentication();
      users.verify(name, said, (verdict) => {
        client.endAuthentication(verdict === "ok" ? users.find(name) : undefined);
        answer(verdict);
      });
    },
    (out, { text }) => {
      if (text === "ok") welcome(out);
      else out.error(text === "busy" ? "BUSY too many passwords are being checked; try again" : WRONG_PASSWORD);
    },
  );
}

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
  const words: Words = { name: null, user: null, password: null };
  if (!takeWords(client, args, words)) return;
  const { user, password } = words;
  const welcome = (to: ReplyWriter): void => {
    if (words.name !== null) client.name = words.name;
    client.resp3 = resp3;
    to.resp3 = resp3;
    greeting(client, to);
  };
  if (user !== null && password !== null) authenticate(client, user, password, welcome);
  else if (client.user === null) out.error(HELLO_FIRST);
  else welcome(out);
};

interface Words {
  name: string | null;
  user: string | null;
  password: Uint8Array | null;
}

/** AUTH and SETNAME behind the version, one after the other. False: an error was written. */
function takeWords(client: Client, args: Arguments, words: Words): boolean {
  let index = 2;
  while (index < args.argc) {
    if (args.is(index, "auth") && index + 2 < args.argc) {
      if (client.context.users.areConfigured) {
        words.user = args.latin1(index + 1);
        words.password = args.bytes(index + 2);
      } else if (args.latin1(index + 1) !== "default") {
        client.out.error(WRONG_PASSWORD);
        return false;
      }
      index += 3;
    } else if (args.is(index, "setname") && index + 1 < args.argc) {
      const name = args.latin1(index + 1);
      if (!isPlain(name)) {
        client.out.error(BAD_NAME);
        return false;
      }
      if (client.user === null) words.name = name;
      else client.name = name; // as Redis: it stays, whatever comes behind it
      index += 2;
    } else {
      client.out.error(`ERR Syntax error in HELLO option '${cString(args.latin1(index))}'`);
      return false;
    }
  }
  return true;
}

function greeting(client: Client, out: ReplyWriter): void {
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
  out.text("cluster");
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
  else if (Number(digits) !== (Number(digits) | 0)) client.out.error(BEYOND_INT);
  else if (digits !== "0") client.out.error("ERR DB index is out of range");
  else client.out.simple("OK");
};

export const quit: Handler = (client) => {
  client.out.simple("OK");
  client.quit();
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
    client.out.error(`ERR Unrecognized option '${cString(args.latin1(2))}'`);
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
