/** Commands about the connection itself, and those that gather others: MULTI and its kin. */
import { entries, type Flags, keysAt, tips } from "./command-entry.js";
import type { CommandSpec } from "./command-table.js";
import * as clients from "./commands-clients.js";
import * as connection from "./commands-connection.js";
import { help } from "./commands-meta.js";
import * as transaction from "./commands-transaction.js";

const GREETING: Flags = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const ALWAYS: Flags = ["loading", "stale", "fast"];
const ABOUT: Flags = ["noscript", "loading", "stale"];
const ADMIN: Flags = ["admin", "noscript", "loading", "stale"];
const UNSTEADY = tips("nondeterministic_output");

const CLIENT: readonly CommandSpec[] = [
  ...entries("connection", ABOUT, [
    ["client|getname", 2, "2.6.9", "Returns the name of the connection.", connection.clientGetName],
    ["client|id", 2, "5.0.0", "Returns the number of the connection.", connection.clientId],
    ["client|info", 2, "6.2.0", "Describes the connection.", clients.clientInfo, UNSTEADY],
    ["client|reply", 3, "3.2.0", "Switches replies on or off, or skips one.", connection.clientReply],
    ["client|setinfo", 4, "7.2.0", "Notes name and version of the client library.", connection.clientSetInfo],
    ["client|setname", 3, "2.6.9", "Names the connection.", connection.clientSetName],
    ["client|no-touch", 3, "7.2.0", "Taken; no access times are kept.", connection.clientSwitch],
  ]),
  ...entries("connection", ADMIN, [
    ["client|kill", -3, "2.4.0", "Closes connections.", clients.clientKill],
    ["client|list", -2, "2.4.0", "Describes the open connections.", clients.clientList, UNSTEADY],
    ["client|no-evict", 3, "7.0.0", "Taken; no connection is ever evicted.", connection.clientSwitch],
  ]),
  ...entries(
    "connection",
    ["loading", "stale"],
    [["client|help", 2, "5.0.0", "Lists the subcommands.", help("client")]],
  ),
];

export const CONNECTION_COMMANDS: readonly CommandSpec[] = [
  ...entries("connection", GREETING, [
    ["auth", -2, "1.0.0", "Says which user the connection speaks for.", connection.auth],
    ["hello", -1, "6.0.0", "Greets, and chooses RESP2 or RESP3.", connection.hello],
    ["quit", -1, "1.0.0", "Closes the connection.", connection.quit],
    ["reset", 1, "6.2.0", "Puts the connection back to how it began.", transaction.reset],
  ]),
  ...entries("connection", ALWAYS, [
    ["echo", 2, "1.0.0", "Returns its argument.", connection.echo],
    ["select", 2, "1.0.0", "Chooses the database; there is one, 0.", connection.select],
  ]),
  ...entries(
    "connection",
    ["fast"],
    [
      [
        "ping",
        -1,
        "1.0.0",
        "Returns PONG, or its argument.",
        connection.ping,
        tips("request_policy:all_shards", "response_policy:all_succeeded"),
      ],
    ],
  ),
  ...entries(
    "connection",
    [],
    [["client", -2, "2.4.0", "Commands about client connections.", null, { subcommands: CLIENT }]],
  ),
  ...entries(
    "transactions",
    ["noscript", "loading", "stale", "fast", "allow_busy"],
    [
      ["discard", 1, "2.0.0", "Drops what was queued since MULTI.", transaction.discard],
      ["multi", 1, "1.2.0", "Begins to queue commands on one key.", transaction.multi],
      ["unwatch", 1, "2.2.0", "Forgets the watched key.", transaction.unwatch],
      [
        "watch",
        -2,
        "2.2.0",
        "EXEC takes place only if the key is as it is now.",
        transaction.watch,
        keysAt(1, -1, 1, "RO"),
      ],
    ],
  ),
  ...entries(
    "transactions",
    ["noscript", "loading", "stale", "skip_slowlog"],
    [["exec", 1, "1.2.0", "Does what was queued since MULTI as one change.", transaction.exec]],
  ),
];
