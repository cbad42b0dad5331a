/**
 * `plogdb cluster up`: a real cluster on this machine, one process per node. It refuses what can be refused before it
 * starts anything, says what it found when all nodes serve, reports a node that dies (and does not restart it: what
 * that means is what one wants to see), and takes everything down that it started.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./ask.js";
import { lockDirectory } from "./directory-lock.js";
import { CommandError, EXIT, type ExitCode } from "./exit.js";
import { planCluster, writeConfigs } from "./layout.js";
import { describeEnding, exitCodeOfEnding, NodeProcess, type ReadyLine } from "./node-process.js";
import type { Output } from "./output.js";
import { checkPorts } from "./ports.js";
import { printCluster } from "./report.js";
import { exitNow, type StopSignal, stopWithParent, watchStopSignals } from "./stop-signal.js";

export interface ClusterUpOptions {
  readonly nodes: number;
  readonly dir: string;
  readonly basePort: number;
  readonly size: string | undefined;
}

const POLL_MS = 25;
const ASK_TIMEOUT_MS = 1_000;
/** From here on a slow start is explained; recovery of large volumes may well take longer. */
const PATIENCE_MS = 10_000;
/** How long to wait, once every node answers, for reads to be decided by a majority. */
const QUORUM_MS = 10_000;

export async function clusterUp(options: ClusterUpOptions, output: Output): Promise<ExitCode> {
  const startedMs = performance.now();
  const plan = planCluster(options.dir, options.nodes, options.basePort);
  const children: NodeProcess[] = [];
  const stop = watchStopSignals(() => {
    for (const child of children) child.kill();
    exitNow();
  });
  if (process.env.npm_lifecycle_event !== undefined) stopWithParent(stop);
  const unlock = lockDirectory(plan.directory);
  try {
    await checkPorts(plan);
    const { notes } = writeConfigs(plan, options.size);
    for (const note of notes) output.line(note);
    for (const node of plan.nodes) children.push(new NodeProcess(node));
    const ready = await waitUntilServing(children, stop, output);
    if (ready !== null) {
      printCluster({ plan, ready, seconds: (performance.now() - startedMs) / 1000, notes }, output);
      reportEndings(children, stop, output);
      await stop.wanted;
    }
    return await stopAll(children, await stop.wanted, output);
  } catch (error) {
    await Promise.all(children.map((child) => child.stop()));
    throw error;
  } finally {
    unlock();
  }
}

/** Every node's ready line, or null when a stop was asked for first. Throws when a node ends instead. */
async function waitUntilServing(children: readonly NodeProcess[], stop: StopSignal, output: Output) {
  const slow = setInterval(() => {
    const late = children.filter((child) => child.ending === null).map((child) => child.node.logFile);
    output.line(`still starting; the logs are ${late.join(", ")}`);
  }, PATIENCE_MS);
  try {
    const all = Promise.all(children.map((child) => waitForPong(child, stop)));
    const ready = await Promise.race([all, stop.wanted.then(() => null)]);
    if (ready !== null) await waitForQuorum(children, stop);
    return stop.isWanted() ? null : ready;
  } finally {
    clearInterval(slow);
  }
}

async function waitForPong(child: NodeProcess, stop: StopSignal): Promise<ReadyLine> {
  const { node } = child;
  const ready = await child.ready;
  while (ready !== null && child.ending === null && !stop.isWanted()) {
    if ((await ask(node.clientPort, ["PING"], ASK_TIMEOUT_MS)) === "+PONG") return ready;
    await sleep(POLL_MS);
  }
  if (stop.isWanted()) return ready ?? {};
  const ending = await child.ended;
  const tail = child.logTail().map((line) => `\n  ${line}`);
  throw new CommandError(
    exitCodeOfEnding(ending),
    `node ${node.id} did not start (${describeEnding(ending)}); the end of ${node.logFile}:${tail.join("")}`,
  );
}

/** Until a strong read is answered by each node; not an error when it takes too long, the nodes do serve. */
async function waitForQuorum(children: readonly NodeProcess[], stop: StopSignal): Promise<void> {
  const deadline = performance.now() + QUORUM_MS;
  for (const child of children) {
    while (performance.now() < deadline && child.ending === null && !stop.isWanted()) {
      const answer = await ask(child.node.clientPort, ["EXISTS", "plogdb:start"], ASK_TIMEOUT_MS);
      // In a cluster of many groups some nodes send this key on: the others answer for its group.
      if (answer?.startsWith(":") === true || answer?.startsWith("-MOVED") === true) break;
      await sleep(POLL_MS);
    }
  }
}

/** Says it when a node dies while the cluster runs; when the last one has died there is nothing left to do. */
function reportEndings(children: readonly NodeProcess[], stop: StopSignal, output: Output): void {
  for (const child of children) {
    void child.ended.then((ending) => {
      if (stop.isWanted()) return;
      const { id, configFile, logFile } = child.node;
      const left = children.filter((other) => other.ending === null).length;
      output.event("node-ended", { node: id, pid: child.pid, code: ending.code, signal: ending.signal, left });
      output.line(
        `node ${id} ended (${describeEnding(ending)}) and is not restarted; ${left} of ${children.length} are left.\n` +
          `  its log: ${logFile}\n  start it again: ${serverCommand(configFile)}`,
      );
      if (left === 0) stop.stop("all nodes ended");
    });
  }
}

function serverCommand(configFile: string): string {
  return `node ${process.argv[1] ?? "dist/cli/main.js"} server --config ${configFile}`;
}

async function stopAll(children: readonly NodeProcess[], reason: string, output: Output): Promise<ExitCode> {
  output.line(`stopping (${reason})`);
  const allEnded = children.every((child) => child.ending !== null);
  const clean = await Promise.all(children.map((child) => child.stop()));
  const unclean = children.filter((_, index) => clean[index] !== true).map((child) => child.node.id);
  output.event("stopped", { reason, unclean });
  if (unclean.length > 0) output.line(`did not stop cleanly: ${unclean.join(", ")} (nothing acknowledged is lost)`);
  else output.line("stopped; the next start finds the data");
  return allEnded || unclean.length > 0 ? EXIT.failed : EXIT.ok;
}
