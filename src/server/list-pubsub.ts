/** Commands that hear of changes: keyspace notifications, and waiting for a key. */
import { entries, type Flags, oneKey } from "./command-entry.js";
import type { CommandSpec } from "./command-table.js";
import { help } from "./commands-meta.js";
import * as pubsub from "./commands-pubsub.js";

const SUBSCRIBING: Flags = ["pubsub", "noscript", "loading", "stale", "no_multi"];
const ASKING: Flags = ["pubsub", "loading", "stale"];

const PUBSUB: readonly CommandSpec[] = [
  ...entries("pubsub", ASKING, [
    ["pubsub|channels", -2, "2.8.0", "Lists the channels that somebody subscribed to by name.", pubsub.pubsubChannels],
    ["pubsub|numpat", 2, "2.8.0", "Counts the patterns that somebody subscribed to.", pubsub.pubsubNumpat],
    ["pubsub|numsub", -2, "2.8.0", "Counts the subscribers of channels.", pubsub.pubsubNumsub],
  ]),
  ...entries("pubsub", ["loading", "stale"], [["pubsub|help", 2, "6.2.0", "Lists the subcommands.", help("pubsub")]]),
];

export const PUBSUB_COMMANDS: readonly CommandSpec[] = [
  ...entries("pubsub", SUBSCRIBING, [
    ["psubscribe", -2, "2.0.0", "Wants to hear of channels by pattern.", pubsub.psubscribe],
    ["punsubscribe", -1, "2.0.0", "Takes PSUBSCRIBE back.", pubsub.punsubscribe],
    ["subscribe", -2, "2.0.0", "Wants to hear of channels: keyspace notifications.", pubsub.subscribe],
    ["unsubscribe", -1, "2.0.0", "Takes SUBSCRIBE back.", pubsub.unsubscribe],
  ]),
  ...entries("pubsub", [], [["pubsub", -2, "2.8.0", "Commands about subscriptions.", null, { subcommands: PUBSUB }]]),
  ...entries(
    "string",
    ["readonly", "blocking", "no_multi"],
    [
      [
        "vwait",
        4,
        "0.1.0",
        "Waits until the key has another version than the one told.",
        pubsub.vwait,
        oneKey("RO access"),
      ],
    ],
  ),
];
