/** Commands about the server as a whole. */
import { entries, type Flags, tips } from "./command-entry.js";
import type { CommandSpec } from "./command-table.js";
import * as config from "./commands-config.js";
import * as meta from "./commands-meta.js";
import * as replica from "./commands-replica.js";
import * as scan from "./commands-scan.js";
import * as server from "./commands-server.js";
import * as watching from "./commands-watching.js";

const ANY: Flags = ["loading", "stale"];
const ADMIN: Flags = ["admin", "noscript", "loading", "stale"];
const ADMIN_ANY: Flags = ["admin", "loading", "stale"];
const UNORDERED = "nondeterministic_output_order";
const UNSTEADY = "nondeterministic_output";
const ALL_NODES = "request_policy:all_nodes";
const AS_CONNECTION = { categories: ["@connection"] };
const UNSTEADY_REPLY = tips("nondeterministic_output");
const DANGEROUS = { categories: ["@dangerous"] };

const COMMAND = entries("server", ANY, [
  ["command|count", 2, "2.8.13", "Returns how many commands there are.", meta.commandCount, AS_CONNECTION],
  [
    "command|docs",
    -2,
    "7.0.0",
    "Says what commands are for.",
    meta.commandDocs,
    { ...AS_CONNECTION, ...tips(UNORDERED) },
  ],
  ["command|getkeys", -3, "2.8.13", "Returns the keys of a whole command.", meta.commandGetKeys, AS_CONNECTION],
  [
    "command|getkeysandflags",
    -3,
    "7.0.0",
    "Returns the keys of a whole command and what is done with them.",
    meta.commandGetKeysAndFlags,
    AS_CONNECTION,
  ],
  ["command|help", 2, "5.0.0", "Lists the subcommands.", meta.help("command"), AS_CONNECTION],
  ["command|info", -2, "2.8.13", "Describes commands.", meta.commandInfo, { ...AS_CONNECTION, ...tips(UNORDERED) }],
  [
    "command|list",
    -2,
    "7.0.0",
    "Returns the commands' names.",
    meta.commandList,
    { ...AS_CONNECTION, ...tips(UNORDERED) },
  ],
]);

const CONFIG: readonly CommandSpec[] = [
  ...entries("server", ADMIN, [
    ["config|get", -3, "2.0.0", "Returns parameters.", config.configGet],
    ["config|resetstat", 2, "2.0.0", "Sets the counters of INFO to zero.", config.configResetStat],
    ["config|rewrite", 2, "2.8.0", "Refused: the file belongs to the operator.", config.configRewrite],
    [
      "config|set",
      -4,
      "2.0.0",
      "Sets some of the parameters until the next start.",
      config.configSet,
      tips(ALL_NODES, "response_policy:all_succeeded"),
    ],
  ]),
  ...entries("server", ANY, [["config|help", 2, "5.0.0", "Lists the subcommands.", meta.help("config")]]),
];

const SLOWLOG: readonly CommandSpec[] = [
  ...entries("server", ADMIN_ANY, [
    ["slowlog|get", -2, "2.2.12", "Returns the latest slow commands.", watching.slowlogGet, tips(ALL_NODES, UNSTEADY)],
    [
      "slowlog|len",
      2,
      "2.2.12",
      "Returns how many slow commands are kept.",
      watching.slowlogLength,
      tips(ALL_NODES, "response_policy:agg_sum", UNSTEADY),
    ],
    [
      "slowlog|reset",
      2,
      "2.2.12",
      "Forgets the slow commands.",
      watching.slowlogReset,
      tips(ALL_NODES, "response_policy:all_succeeded"),
    ],
  ]),
  ...entries("server", ANY, [["slowlog|help", 2, "6.2.0", "Lists the subcommands.", meta.help("slowlog")]]),
];

const SPECIAL = tips(UNSTEADY, ALL_NODES, "response_policy:special");

const LATENCY: readonly CommandSpec[] = [
  ...entries("server", ADMIN, [
    ["latency|history", 3, "2.8.13", "Returns the slow moments of one kind.", watching.latencyHistory, SPECIAL],
    ["latency|latest", 2, "2.8.13", "Returns the latest slow moment of every kind.", watching.latencyLatest, SPECIAL],
    [
      "latency|reset",
      -2,
      "2.8.13",
      "Forgets slow moments.",
      watching.latencyReset,
      tips(ALL_NODES, "response_policy:all_succeeded"),
    ],
  ]),
  ...entries("server", ANY, [["latency|help", 2, "2.8.13", "Lists the subcommands.", meta.help("latency")]]),
];

const REPLICA: readonly CommandSpec[] = [
  ...entries("server", ADMIN, [
    [
      "replica|accept-loss",
      2,
      "0.1.0",
      "Gives up what this replica and another one have both lost, so that this one votes again.",
      replica.acceptLoss,
    ],
    ["replica|drain", 4, "0.1.0", "Has the cluster spare a node, or no longer: clients ask it last.", replica.drain],
    ["replica|learner", 3, "0.1.0", "Orders this node not to vote, or takes the order back.", replica.learner],
    ["replica|map", 2, "0.1.0", "Returns the map of the cluster, as JSON.", replica.map, UNSTEADY_REPLY],
    ["replica|status", 2, "0.1.0", "Says where this replica stands, as JSON.", replica.status, UNSTEADY_REPLY],
    [
      "replica|verify",
      2,
      "0.1.0",
      "Compares everything with the other replicas now, and says what it found.",
      replica.verify,
      UNSTEADY_REPLY,
    ],
  ]),
  ...entries("server", ANY, [["replica|help", 2, "0.1.0", "Lists the subcommands.", meta.help("replica")]]),
];

export const SERVER_COMMANDS: readonly CommandSpec[] = [
  ...entries("server", ANY, [
    [
      "command",
      -1,
      "2.8.13",
      "Describes all commands.",
      meta.commandAll,
      { subcommands: COMMAND, ...AS_CONNECTION, ...tips(UNORDERED) },
    ],
    [
      "info",
      -1,
      "1.0.0",
      "Returns facts and counters of the server.",
      server.info,
      { ...DANGEROUS, ...tips(UNSTEADY, "request_policy:all_shards", "response_policy:special") },
    ],
  ]),
  ...entries(
    "server",
    [],
    [
      ["config", -2, "2.0.0", "Commands about parameters.", null, { subcommands: CONFIG }],
      ["latency", -2, "2.8.13", "Commands about slow moments.", null, { subcommands: LATENCY }],
      ["replica", -2, "0.1.0", "Commands about this replica.", null, { subcommands: REPLICA }],
      ["slowlog", -2, "2.2.12", "Commands about slow commands.", null, { subcommands: SLOWLOG }],
    ],
  ),
  ...entries(
    "server",
    ["readonly", "fast"],
    [
      [
        "dbsize",
        1,
        "1.0.0",
        "Returns the number of keys at this node.",
        scan.dbsize,
        { categories: ["@keyspace"], ...tips("request_policy:all_shards", "response_policy:agg_sum") },
      ],
    ],
  ),
  ...entries(
    "server",
    ["loading", "stale", "fast"],
    [["time", 1, "2.6.0", "Returns the server's time.", server.time, tips(UNSTEADY)]],
  ),
  ...entries("server", ADMIN, [
    ["debug", -2, "1.0.0", "Refused.", server.debug],
    [
      "hotkeys",
      -1,
      "0.1.0",
      "Returns the keys that are asked for most at this node, about how often.",
      watching.hotkeys,
      UNSTEADY_REPLY,
    ],
  ]),
  ...entries(
    "server",
    ["admin", "noscript", "loading", "stale", "no_multi"],
    [["monitor", 1, "1.0.0", "Shows every command that is taken, as far as it can.", watching.monitor]],
  ),
  ...entries(
    "server",
    ["admin", "noscript", "loading", "stale", "no_multi", "allow_busy"],
    [["shutdown", -1, "1.0.0", "Answers what is pending and stops the node.", server.shutdown]],
  ),
];
