/**
 * The list of commands: everything that says what commands there are (dispatch, COMMAND, the wrong-arity answer,
 * docs/commands.md) is made from it. Five files hold the entries, by what they are about; this one puts them together.
 */
import type { CommandSpec } from "./command-table.js";
import { CLUSTER_COMMANDS } from "./list-cluster.js";
import { CONNECTION_COMMANDS } from "./list-connection.js";
import { KEY_COMMANDS } from "./list-keys.js";
import { PUBSUB_COMMANDS } from "./list-pubsub.js";
import { SERVER_COMMANDS } from "./list-server.js";

export const COMMANDS: readonly CommandSpec[] = [
  ...CONNECTION_COMMANDS,
  ...SERVER_COMMANDS,
  ...KEY_COMMANDS,
  ...PUBSUB_COMMANDS,
  ...CLUSTER_COMMANDS,
];
