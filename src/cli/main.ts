#!/usr/bin/env node
/**
 * The plogdb command: what can be asked, and how an answer ends the process. Each command is a file of its own; this one
 * only knows their options.
 */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { type FlagValues, SETTINGS } from "../cluster/index.js";
import { benchDisk, type BenchDiskFlags } from "./bench-disk.js";
import {
  type AdminOptions,
  clusterAcceptLoss,
  clusterDrain,
  clusterLearner,
  clusterReplace,
  clusterStatus,
  verifyNow,
} from "./cluster-admin.js";
import { clusterUp } from "./cluster-up.js";
import { errorCodeOf, EXIT, type ExitCode, exitCodeOf } from "./exit.js";
import { makeOutput } from "./output.js";
import { checkServer, runServer } from "./server-command.js";
import { hashFromStdin } from "./hash-password.js";
import { PLOGDB_VERSION } from "../server/version.js";

const EXIT_CODES_HELP =
  "\nExit codes: 0 ok, 1 failed, 2 usage or configuration, 3 data refused (locked, foreign, forgotten), 4 I/O";

interface ClusterUpFlags {
  readonly nodes: number;
  readonly dir: string;
  readonly basePort: number;
  readonly size?: string;
  readonly json?: boolean;
}

interface AdminFlags extends AdminOptions {
  readonly json?: boolean;
}

interface ServerFlags extends FlagValues {
  readonly config: string;
  readonly stopWithStdin?: boolean;
  readonly check?: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It is not a whole number.");
  return Number(text);
}

function addServer(program: Command, finish: (code: ExitCode) => void): void {
  const server = program
    .command("server")
    .description("run one node; variables (PLOGDB_...) stand above the file, flags above both")
    .requiredOption("--config <file>", "configuration (YAML)")
    .option("--stop-with-stdin", "stop when stdin ends: a parent that dies takes the node along")
    .option("--check", "only say whether the configuration would be taken")
    .option("--json", "errors as JSON lines");
  for (const one of SETTINGS) server.option(one.flag, `${one.description} (${one.variable})`);
  server.action(async (flags: ServerFlags) => {
    if (flags.check === true) finish(checkServer(flags.config, flags));
    else finish(await runServer({ config: flags.config, stopWithStdin: flags.stopWithStdin === true, flags }));
  });
}

function addCluster(program: Command, finish: (code: ExitCode) => void): void {
  const cluster = program.command("cluster").description("clusters: on this machine, or wherever a configuration says");
  addClusterAdmin(program, cluster, finish);
  cluster
    .command("up")
    .description("start a cluster, one process per node, and stop it with Ctrl-C")
    .option("--nodes <count>", "how many nodes: 1, 3, 5 or 7, or a multiple of three from 6 on", wholeNumber, 3)
    .option("--dir <directory>", "where configuration, data and logs are", "data")
    .option("--base-port <port>", "P: clients at P+1.., peers at P+101.., http at P+201..", wholeNumber, 7000)
    .option("--size <size>", "size of each node's volume (default: 4GiB, or less where the disk is small)")
    .option("--json", "JSON lines instead of text")
    .action(async (flags: ClusterUpFlags) => {
      const { nodes, dir, basePort, size, json } = flags;
      finish(await clusterUp({ nodes, dir, basePort, size }, makeOutput(json === true)));
    });
}

function addClusterAdmin(program: Command, cluster: Command, finish: (code: ExitCode) => void): void {
  const config = ["--config <file>", "configuration of any node", "data/n1/plogdb.yaml"] as const;
  const json = ["--json", "JSON lines instead of text"] as const;
  const user = ["--user <name>", "as whom, where the nodes ask (default: default)"] as const;
  const passwordFile = ["--password-file <file>", "its password"] as const;
  cluster
    .command("status")
    .description("where every node stands: votes, backlog, verification, scrub")
    .option(...config)
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (flags: AdminFlags) => {
      finish(await clusterStatus(flags, makeOutput(flags.json === true)));
    });
  cluster
    .command("drain <node> <on|off>")
    .description(
      "have the cluster spare a node before it is stopped, or no longer: clients ask it last, it leads no key",
    )
    .option(...config)
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (node: string, word: string, flags: AdminFlags) => {
      finish(await clusterDrain(flags, node, word, makeOutput(flags.json === true)));
    });
  cluster
    .command("learner <node> <on|off>")
    .description("order a node not to vote, or take the order back")
    .option(...config)
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (node: string, word: string, flags: AdminFlags) => {
      finish(await clusterLearner(flags, node, word, makeOutput(flags.json === true)));
    });
  cluster
    .command("accept-loss <node>")
    .description("give up what this node and another one have both lost: acknowledged writes may be gone")
    .option(...config)
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (node: string, flags: AdminFlags) => {
      finish(await clusterAcceptLoss(flags, node, makeOutput(flags.json === true)));
    });
  cluster
    .command("replace <node>")
    .description("start a node on an empty disk in the place of its old one, in this process")
    .requiredOption("--config <file>", "its own configuration")
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (node: string, flags: AdminFlags) => {
      finish(await clusterReplace(flags, node, makeOutput(flags.json === true)));
    });
  program
    .command("verify")
    .description("compare what the nodes hold")
    .requiredOption("--now", "a whole pass at every node (otherwise they do it all the time by themselves)")
    .option(...config)
    .option(...json)
    .option(...user)
    .option(...passwordFile)
    .action(async (flags: AdminFlags) => {
      finish(await verifyNow(flags, makeOutput(flags.json === true)));
    });
}

function addBench(program: Command, finish: (code: ExitCode) => void): void {
  program
    .command("bench")
    .description("measure this machine")
    .command("disk")
    .description("the engine beside fio on the same disk, or a test that acknowledged data survives a crash")
    .option("--dir <path>", "a directory, or a block device (with --destroy)", ".")
    .option("--size <size>", "room to use, at most", "1GiB")
    .option("--seconds <count>", "of each row (default 5), or of --verify write (default: until stopped)", wholeNumber)
    .option("--destroy", "a block device may be overwritten")
    .option("--verify <what>", "write: put until killed, log what is acknowledged; check: is all of it there?")
    .option("--seed <number>", "what --verify write writes", wholeNumber, 1)
    .option("--keys <count>", "how many keys --verify write uses", wholeNumber, 20_000)
    .option("--state <file>", "progress log of --verify; - is stdout or stdin (default: verify.jsonl in --dir)")
    .option("--json", "JSON lines instead of text")
    .action(async (flags: BenchDiskFlags & { readonly json?: boolean }) => {
      finish(await benchDisk(flags, makeOutput(flags.json === true)));
    });
}

function buildProgram(finish: (code: ExitCode) => void): Command {
  const program = new Command("plogdb")
    .description("A strongly consistent key-value store: lease-free Paxos, one log per key")
    .version(PLOGDB_VERSION, "--version")
    .addHelpText("after", EXIT_CODES_HELP)
    .showHelpAfterError("(--help tells what can be asked)")
    .exitOverride()
    .configureOutput({ outputError: printUnlessJson });
  addServer(program, finish);
  addCluster(program, finish);
  addBench(program, finish);
  program
    .command("hash-password")
    .description("read a password from stdin and print what stands for it in a configuration")
    .action(async () => {
      finish(await hashFromStdin());
    });
  for (const command of program.commands) inherit(program, command);
  return program;
}

/** Subcommands that were made before the parent's settings take them over now. */
function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(command, child);
}

/** In JSON mode the error is told once, as JSON. */
function printUnlessJson(text: string, write: (text: string) => void): void {
  if (!json) write(text);
}

/** Known before the options are parsed, because errors of parsing are told in that form too. */
const json = process.argv.includes("--json");

function reportError(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    const code = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (json && code !== EXIT.ok) printJsonError("USAGE", code, error.message);
    return code;
  }
  const code = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (json) printJsonError(errorCodeOf(error), code, message);
  else process.stderr.write(`plogdb: ${message}\n`);
  return code;
}

function printJsonError(code: string, exitCode: ExitCode, message: string): void {
  process.stdout.write(`${JSON.stringify({ event: "error", code, exitCode, message })}\n`);
}

async function main(): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = buildProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(process.argv);
    return code;
  } catch (error) {
    return reportError(error);
  }
}

process.exitCode = await main();
// Handles that a library keeps open must not keep a finished command alive.
process.stdout.write("", () => {
  process.exit();
});
