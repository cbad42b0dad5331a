/** Commands by which cluster clients find the nodes. */
import { entries, type Flags, tips } from "./command-entry.js";
import type { CommandSpec } from "./command-table.js";
import * as cluster from "./commands-cluster.js";
import { help } from "./commands-meta.js";

const ANY: Flags = ["loading", "stale"];
const ALWAYS: Flags = ["loading", "stale", "fast"];
const AS_CONNECTION = { categories: ["@connection"] };
const UNSTEADY = tips("nondeterministic_output");

const CLUSTER: readonly CommandSpec[] = [
  ...entries("cluster", ANY, [
    ["cluster|help", 2, "5.0.0", "Lists the subcommands.", help("cluster")],
    [
      "cluster|info",
      2,
      "3.0.0",
      "Says whether keys can be read and written, and counts.",
      cluster.clusterInfo,
      UNSTEADY,
    ],
    ["cluster|keyslot", 3, "3.0.0", "Returns the slot of a key.", cluster.clusterKeySlot],
    ["cluster|myid", 2, "3.0.0", "Returns this node's id.", cluster.clusterMyId],
    ["cluster|nodes", 2, "3.0.0", "Describes the nodes, a line each.", cluster.clusterNodes, UNSTEADY],
    ["cluster|shards", 2, "7.0.0", "Returns who is to be asked for which slots.", cluster.clusterShards, UNSTEADY],
    [
      "cluster|slots",
      2,
      "3.0.0",
      "Returns who is to be asked for which slots, in the older form.",
      cluster.clusterSlots,
      UNSTEADY,
    ],
  ]),
  ...entries(
    "cluster",
    ["stale"],
    [
      [
        "cluster|countkeysinslot",
        3,
        "3.0.0",
        "Counts the keys of a slot at this node.",
        cluster.clusterCountKeysInSlot,
      ],
      [
        "cluster|getkeysinslot",
        4,
        "3.0.0",
        "Returns keys of a slot at this node.",
        cluster.clusterGetKeysInSlot,
        UNSTEADY,
      ],
    ],
  ),
];

export const CLUSTER_COMMANDS: readonly CommandSpec[] = [
  ...entries(
    "cluster",
    ["fast"],
    [["asking", 1, "3.0.0", "Taken; every replica serves whatever it is asked.", cluster.clusterMode, AS_CONNECTION]],
  ),
  ...entries("cluster", ALWAYS, [
    ["readonly", 1, "3.0.0", "Taken; every replica serves strong reads.", cluster.clusterMode, AS_CONNECTION],
    ["readwrite", 1, "3.0.0", "Taken; every replica serves writes.", cluster.clusterMode, AS_CONNECTION],
  ]),
  ...entries("cluster", [], [["cluster", -2, "3.0.0", "Commands about the cluster.", null, { subcommands: CLUSTER }]]),
];
