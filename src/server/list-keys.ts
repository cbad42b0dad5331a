/** Commands on keys and their values. */
import { entries, type Flags, keysAt, oneKey, tips } from "./command-entry.js";
import type { CommandSpec } from "./command-table.js";
import * as conditional from "./commands-conditional.js";
import * as expiry from "./commands-expiry.js";
import * as own from "./commands-own.js";
import * as range from "./commands-range.js";
import * as scan from "./commands-scan.js";
import * as set from "./commands-set.js";
import * as strings from "./commands-string.js";

const READ: Flags = ["readonly", "fast"];
const READ_SLOWLY: Flags = ["readonly"];
const WRITE: Flags = ["write", "denyoom", "fast"];
const WRITE_SLOWLY: Flags = ["write", "denyoom"];
const CHANGE: Flags = ["write", "fast"];

const SUM = tips("request_policy:multi_shard", "response_policy:agg_sum");
const REMOVED = { ...keysAt(1, -1, 1, "RM delete"), ...SUM };
const READ_ACCESS = oneKey("RO access");
const UPDATED = oneKey("RW update");
const COUNTED = oneKey("RW access update");
const UNSTEADY = tips("nondeterministic_output");

const GENERIC: readonly CommandSpec[] = [
  ...entries(
    "generic",
    ["write"],
    [["del", -2, "1.0.0", "Deletes keys; not atomic across keys.", strings.del, REMOVED]],
  ),
  ...entries("generic", CHANGE, [
    ["expire", -3, "1.0.0", "Sets a deadline in seconds from now.", expiry.expire, UPDATED],
    ["expireat", -3, "1.2.0", "Sets a deadline in seconds since 1970.", expiry.expireat, UPDATED],
    ["persist", 2, "2.2.0", "Drops the deadline.", expiry.persist, UPDATED],
    ["pexpire", -3, "2.6.0", "Sets a deadline in milliseconds from now.", expiry.pexpire, UPDATED],
    ["pexpireat", -3, "2.6.0", "Sets a deadline in milliseconds since 1970.", expiry.pexpireat, UPDATED],
    ["unlink", -2, "4.0.0", "The same as DEL.", strings.del, REMOVED],
  ]),
  ...entries("generic", READ, [
    [
      "exists",
      -2,
      "1.0.0",
      "Counts how many of the keys exist.",
      strings.exists,
      { ...keysAt(1, -1, 1, "RO"), ...SUM },
    ],
    ["expiretime", 2, "7.0.0", "Returns the deadline in seconds since 1970.", expiry.expiretime, READ_ACCESS],
    ["pexpiretime", 2, "7.0.0", "Returns the deadline in milliseconds since 1970.", expiry.pexpiretime, READ_ACCESS],
    ["pttl", 2, "2.6.0", "Returns the milliseconds up to the deadline.", expiry.pttl, { ...READ_ACCESS, ...UNSTEADY }],
    ["ttl", 2, "1.0.0", "Returns the seconds up to the deadline.", expiry.ttl, { ...READ_ACCESS, ...UNSTEADY }],
    ["type", 2, "1.0.0", "Returns string, or none.", strings.type, oneKey("RO")],
  ]),
  ...entries(
    "generic",
    ["readonly", "no_multi"],
    [
      ["plog", 2, "0.1.0", "Returns every replica's state of a key.", own.plog, oneKey("RO")],
      [
        "keys",
        2,
        "1.0.0",
        "Returns the keys that match a pattern, if this node holds few.",
        scan.keys,
        { categories: ["@dangerous"], ...tips("request_policy:all_shards", "nondeterministic_output_order") },
      ],
      [
        "scan",
        -2,
        "2.8.0",
        "Goes over the keys of this node, a few at a time.",
        scan.scan,
        tips("nondeterministic_output", "request_policy:special"),
      ],
    ],
  ),
];

const STRINGS: readonly CommandSpec[] = [
  ...entries("string", READ, [
    ["digest", 2, "8.4.0", "Returns the value's digest (XXH3).", conditional.digest, READ_ACCESS],
    ["get", 2, "1.0.0", "Returns the value.", strings.get, READ_ACCESS],
    [
      "mget",
      -2,
      "1.0.0",
      "Returns the values of several keys.",
      strings.mget,
      { ...keysAt(1, -1, 1, "RO access"), ...tips("request_policy:multi_shard") },
    ],
    ["strlen", 2, "2.2.0", "Returns the length of the value.", strings.strlen, oneKey("RO")],
    ["vget", 2, "0.1.0", "Returns version and value.", own.vget, READ_ACCESS],
  ]),
  ...entries("string", READ_SLOWLY, [
    ["getrange", 4, "2.4.0", "Returns a part of the value.", range.getrange, READ_ACCESS],
    ["substr", 4, "1.0.0", "The former name of GETRANGE.", range.getrange, READ_ACCESS],
  ]),
  ...entries("string", CHANGE, [
    ["delex", -2, "8.4.0", "Deletes the key if its value is as told.", conditional.delex, oneKey("RW delete")],
    [
      "delifeq",
      3,
      "9.0.0",
      "Deletes the key if its value is equal (as Valkey does).",
      conditional.delifeq,
      oneKey("RW delete"),
    ],
    ["getdel", 2, "6.2.0", "Returns the value and deletes the key.", conditional.getdel, oneKey("RW access delete")],
    ["getex", -2, "6.2.0", "Returns the value and sets or drops its deadline.", set.getex, COUNTED],
  ]),
  ...entries("string", WRITE, [
    ["append", 3, "2.0.0", "Appends to the value.", strings.append, oneKey("RW insert")],
    ["decr", 2, "1.0.0", "Takes one from the number.", strings.decr, COUNTED],
    ["decrby", 3, "1.0.0", "Takes from the number.", strings.decrby, COUNTED],
    ["getset", 3, "1.0.0", "Sets the value and returns the old one.", set.getset, COUNTED],
    ["incr", 2, "1.0.0", "Adds one to the number.", strings.incr, COUNTED],
    ["incrby", 3, "1.0.0", "Adds to the number.", strings.incrby, COUNTED],
    ["incrbyfloat", 3, "2.6.0", "Adds to the floating point number.", range.incrbyfloat, COUNTED],
    ["setnx", 3, "1.0.0", "Sets the value if the key does not exist.", set.setnx, oneKey("OW insert")],
    ["vset", 4, "0.1.0", "Sets the value if the version is as told.", own.vset, UPDATED],
  ]),
  ...entries("string", WRITE_SLOWLY, [
    [
      "mset",
      -3,
      "1.0.1",
      "Sets the values of several keys; not atomic across keys.",
      set.mset,
      { ...keysAt(1, -1, 2, "OW update"), ...tips("request_policy:multi_shard", "response_policy:all_succeeded") },
    ],
    [
      "msetnx",
      -3,
      "1.0.1",
      "Sets the value if the key does not exist; all keys must be one.",
      set.msetnx,
      { ...keysAt(1, -1, 2, "OW insert"), ...tips("request_policy:multi_shard", "response_policy:agg_min") },
    ],
    ["psetex", 4, "2.6.0", "Sets the value with a deadline in milliseconds.", set.psetex, oneKey("OW update")],
    [
      "set",
      -3,
      "1.0.0",
      "Sets the value, with conditions and a deadline.",
      set.set,
      oneKey("RW access update variable_flags"),
    ],
    ["setex", 4, "2.0.0", "Sets the value with a deadline in seconds.", set.setex, oneKey("OW update")],
    ["setrange", 4, "2.2.0", "Writes over a part of the value.", range.setrange, UPDATED],
  ]),
];

export const KEY_COMMANDS: readonly CommandSpec[] = [...GENERIC, ...STRINGS];
