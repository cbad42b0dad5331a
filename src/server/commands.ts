/**
 * The list of commands: one entry each, with name, arity, flags, places of keys and handler. Everything that says what
 * commands there are (dispatch, COMMAND, the wrong-arity answer) is made from this list.
 *
 * Left out for now: GETDEL, GETEX, GETRANGE, SETRANGE, INCRBYFLOAT, SCAN, KEYS, MULTI, AUTH with users, CLUSTER.
 */
import type { Handler } from "./client.js";
import type { CommandFlag, CommandSpec } from "./command-table.js";
import * as connection from "./commands-connection.js";
import * as expiry from "./commands-expiry.js";
import * as meta from "./commands-meta.js";
import * as own from "./commands-own.js";
import * as server from "./commands-server.js";
import * as strings from "./commands-string.js";

type Keys = readonly [number, number, number];

const NO_KEYS: Keys = [0, 0, 0];
const ONE_KEY: Keys = [1, 1, 1];
const ALL_KEYS: Keys = [1, -1, 1];
const READ: readonly CommandFlag[] = ["readonly", "fast"];
const WRITE: readonly CommandFlag[] = ["write", "denyoom", "fast"];
const REMOVE: readonly CommandFlag[] = ["write", "fast"];
const PLAIN: readonly CommandFlag[] = ["fast"];
const ALWAYS: readonly CommandFlag[] = ["loading", "stale", "fast"];
const ADMIN: readonly CommandFlag[] = ["admin", "loading", "stale"];

function command(
  group: CommandSpec["group"],
  flags: readonly CommandFlag[],
  keys: Keys,
  entry: readonly [name: string, arity: number, since: string, summary: string, handler: Handler | null],
  subcommands: readonly CommandSpec[] = [],
): CommandSpec {
  const [name, arity, since, summary, handler] = entry;
  return { name, arity, flags, keys, group, since, summary, handler, subcommands };
}

type Entry = readonly [name: string, arity: number, since: string, summary: string, handler: Handler];

function all(
  group: CommandSpec["group"],
  flags: readonly CommandFlag[],
  keys: Keys,
  entries: readonly Entry[],
): CommandSpec[] {
  return entries.map((entry) => command(group, flags, keys, entry));
}

const CLIENT = all("connection", ALWAYS, NO_KEYS, [
  ["client|getname", 2, "2.6.9", "Returns the name of the connection.", connection.clientGetName],
  ["client|id", 2, "5.0.0", "Returns the unique client ID of the connection.", connection.clientId],
  ["client|info", 2, "6.2.0", "Returns information about the connection.", connection.clientInfo],
  ["client|list", -2, "2.4.0", "Returns information about the own connection.", connection.clientInfo],
  ["client|no-evict", 3, "7.0.0", "Takes the client eviction mode; nothing is ever evicted.", connection.clientSwitch],
  ["client|no-touch", 3, "7.2.0", "Takes the no-touch mode; no access times are kept.", connection.clientSwitch],
  ["client|reply", 3, "3.2.0", "Instructs the server whether to reply to commands.", connection.clientReply],
  ["client|setinfo", 4, "7.2.0", "Sets information specific to the client library.", connection.clientSetInfo],
  ["client|setname", 3, "2.6.9", "Sets the connection name.", connection.clientSetName],
]);

const COMMAND = all("server", ALWAYS, NO_KEYS, [
  ["command|count", 2, "2.8.13", "Returns a count of commands.", meta.commandCount],
  ["command|docs", -2, "7.0.0", "Returns documentary information about commands.", meta.commandDocs],
  ["command|getkeys", -3, "2.8.13", "Extracts the key names from an arbitrary command.", meta.commandGetKeys],
  ["command|info", -2, "2.8.13", "Returns information about commands.", meta.commandInfo],
  ["command|list", 2, "7.0.0", "Returns a list of command names.", meta.commandList],
]);

const CONFIG = all("server", ADMIN, NO_KEYS, [
  ["config|get", -3, "2.0.0", "Returns the effective values of configuration parameters.", server.configGet],
  ["config|set", -4, "2.0.0", "Refused: the configuration is read at start.", server.configSet],
]);

const CONNECTION: readonly CommandSpec[] = [
  ...all("connection", ALWAYS, NO_KEYS, [
    ["auth", -2, "1.0.0", "Authenticates the connection; no password can be configured yet.", connection.auth],
    ["echo", 2, "1.0.0", "Returns the given string.", connection.echo],
    ["hello", -1, "6.0.0", "Handshakes with the server and switches the protocol.", connection.hello],
    ["quit", -1, "1.0.0", "Closes the connection.", connection.quit],
    ["reset", 1, "6.2.0", "Resets the connection.", connection.reset],
    ["select", 2, "1.0.0", "Changes the selected database; there is one, 0.", connection.select],
  ]),
  ...all("connection", PLAIN, NO_KEYS, [
    ["ping", -1, "1.0.0", "Returns the server's liveliness response.", connection.ping],
  ]),
  command(
    "connection",
    ALWAYS,
    NO_KEYS,
    ["client", -2, "2.4.0", "A container for client connection commands.", null],
    CLIENT,
  ),
  ...all("cluster", ALWAYS, NO_KEYS, [
    ["asking", 1, "3.0.0", "Refused: cluster support is disabled.", connection.clusterDisabled],
    ["cluster", -2, "3.0.0", "Refused: cluster support is disabled.", connection.clusterDisabled],
    ["readonly", 1, "3.0.0", "Refused: cluster support is disabled.", connection.clusterDisabled],
    ["readwrite", 1, "3.0.0", "Refused: cluster support is disabled.", connection.clusterDisabled],
  ]),
];

const SERVER: readonly CommandSpec[] = [
  command(
    "server",
    ALWAYS,
    NO_KEYS,
    ["command", -1, "2.8.13", "Returns detailed information about all commands.", meta.commandAll],
    COMMAND,
  ),
  command("server", ADMIN, NO_KEYS, ["config", -2, "2.0.0", "A container for configuration commands.", null], CONFIG),
  ...all("server", READ, NO_KEYS, [["dbsize", 1, "1.0.0", "Returns the number of keys at this node.", server.dbsize]]),
  ...all("server", ALWAYS, NO_KEYS, [
    ["info", -1, "1.0.0", "Returns information and statistics about the server.", server.info],
    ["time", 1, "2.6.0", "Returns the server time.", server.time],
  ]),
];

const KEYS: readonly CommandSpec[] = [
  ...all("generic", REMOVE, ALL_KEYS, [
    ["del", -2, "1.0.0", "Deletes one or more keys; not atomic across keys.", strings.del],
    ["unlink", -2, "4.0.0", "The same as DEL.", strings.del],
  ]),
  ...all("generic", READ, ALL_KEYS, [["exists", -2, "1.0.0", "Determines whether keys exist.", strings.exists]]),
  ...all("generic", REMOVE, ONE_KEY, [
    ["expire", -3, "1.0.0", "Sets the expiration time of a key in seconds.", expiry.expire],
    ["expireat", -3, "1.2.0", "Sets the expiration time of a key to a Unix timestamp.", expiry.expireat],
    ["persist", 2, "2.2.0", "Removes the expiration time of a key.", expiry.persist],
    ["pexpire", -3, "2.6.0", "Sets the expiration time of a key in milliseconds.", expiry.pexpire],
    ["pexpireat", -3, "2.6.0", "Sets the expiration time of a key to a Unix milliseconds timestamp.", expiry.pexpireat],
  ]),
  ...all("generic", READ, ONE_KEY, [
    ["expiretime", 2, "7.0.0", "Returns the expiration time of a key as a Unix timestamp.", expiry.expiretime],
    ["pexpiretime", 2, "7.0.0", "Returns the expiration time of a key in Unix milliseconds.", expiry.pexpiretime],
    ["pttl", 2, "2.6.0", "Returns the expiration time in milliseconds of a key.", expiry.pttl],
    ["ttl", 2, "1.0.0", "Returns the expiration time in seconds of a key.", expiry.ttl],
    ["type", 2, "1.0.0", "Determines the type of value stored at a key.", strings.type],
    ["plog", 2, "0.1.0", "Returns every replica's state of a key.", own.plog],
  ]),
];

const STRINGS: readonly CommandSpec[] = [
  ...all("string", READ, ONE_KEY, [
    ["get", 2, "1.0.0", "Returns the string value of a key.", strings.get],
    ["strlen", 2, "2.2.0", "Returns the length of a string value.", strings.strlen],
    ["vget", 2, "0.1.0", "Returns the version and the value of a key.", own.vget],
  ]),
  ...all("string", READ, ALL_KEYS, [["mget", -2, "1.0.0", "Returns the values of one or more keys.", strings.mget]]),
  ...all(
    "string",
    WRITE,
    [1, -1, 2],
    [["mset", -3, "1.0.1", "Sets the values of one or more keys; not atomic across keys.", strings.mset]],
  ),
  ...all("string", WRITE, ONE_KEY, [
    ["append", 3, "2.0.0", "Appends a string to the value of a key.", strings.append],
    ["decr", 2, "1.0.0", "Decrements the integer value of a key by one.", strings.decr],
    ["decrby", 3, "1.0.0", "Decrements a number from the integer value of a key.", strings.decrby],
    ["getset", 3, "1.0.0", "Returns the previous value of a key after setting a new one.", strings.getset],
    ["incr", 2, "1.0.0", "Increments the integer value of a key by one.", strings.incr],
    ["incrby", 3, "1.0.0", "Increments the integer value of a key by a number.", strings.incrby],
    ["psetex", 4, "2.6.0", "Sets the value and the expiration time in milliseconds of a key.", strings.psetex],
    ["set", -3, "1.0.0", "Sets the string value of a key, with conditions and an expiration time.", strings.set],
    ["setex", 4, "2.0.0", "Sets the value and the expiration time of a key.", strings.setex],
    ["setnx", 3, "1.0.0", "Sets the value of a key only when it does not exist.", strings.setnx],
    ["vset", 4, "0.1.0", "Sets the value of a key only at the given version.", own.vset],
  ]),
];

export const COMMANDS: readonly CommandSpec[] = [...CONNECTION, ...SERVER, ...KEYS, ...STRINGS];
