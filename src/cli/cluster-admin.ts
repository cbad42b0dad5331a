/**
 * `plogdb cluster status`, `drain`, `learner`, `accept-loss` and `replace`, and `plogdb verify`: what an operator asks of the nodes of a running
 * cluster, found through the configuration of any of them.
 */
import { existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { formatAddress, loadConfig, mapHolders, type NodeEntry } from "../cluster/index.js";
import { CommandError, EXIT, type ExitCode } from "./exit.js";
import { type Access, askNode } from "./node-client.js";
import { type Output, table } from "./output.js";
import { runServer } from "./server-command.js";

const ASK_MS = 5000;
/** A pass over everything is bounded in speed, not in time. */
const VERIFY_MS = 3_600_000;
const STOP_MS = 30_000;
const POLL_MS = 100;

/** What REPLICA STATUS tells, as far as it is looked at here. */
interface Status {
  readonly mode: string;
  readonly drained: boolean;
  readonly state: string;
  readonly loss: {
    readonly number: number;
    readonly open: boolean;
    readonly unfenced: readonly string[];
    readonly needsDecision: boolean;
  };
  readonly keys: number;
  readonly learners: number;
  readonly undecided: { readonly level1: number; readonly level2: number; readonly level3: number };
  readonly catchUp: { readonly backlog: number; readonly ageMs: number };
  readonly verification: { readonly passes: number; readonly sinceMs: number; readonly found: Found };
  readonly scrub: { readonly passes: number; readonly damagedRecords: number };
  readonly corruptKeys: number;
}

interface Found {
  readonly behind: number;
  readonly diverged: number;
  readonly learners: number;
  readonly lostTwice: number;
  readonly lostDisks: number;
}

type NodeStatus =
  | { readonly node: string; readonly address: string; readonly reached: true; readonly status: Status }
  | { readonly node: string; readonly address: string; readonly reached: false; readonly why: string };

/** What the commands of this file need to find the nodes and to be let in. */
export interface AdminOptions {
  readonly config: string;
  readonly user?: string;
  readonly passwordFile?: string;
}

function accessOf({ config, user, passwordFile }: AdminOptions): Access {
  const { tls } = loadConfig(config, process.env, {});
  if (user === undefined && passwordFile === undefined) return { user: null, password: "", tls };
  if (passwordFile === undefined) throw new CommandError(EXIT.usage, "--user takes --password-file with it");
  let password: string;
  try {
    password = readFileSync(passwordFile, "latin1").replace(/\r?\n$/, "");
  } catch (error) {
    throw new CommandError(
      EXIT.usage,
      `${passwordFile} cannot be read: ${error instanceof Error ? error.message : ""}`,
    );
  }
  return { user: user ?? "default", password, tls };
}

function nodesOf(config: string): readonly NodeEntry[] {
  return loadConfig(config, process.env, {}).nodes;
}

function nodeOf(config: string, id: string): NodeEntry {
  const nodes = nodesOf(config);
  const node = nodes.find((one) => one.id === id);
  if (node !== undefined) return node;
  const names = nodes.map((one) => one.id).join(", ");
  throw new CommandError(EXIT.usage, `there is no node ${id} in ${config}; its nodes are ${names}`);
}

async function statusOf({ id, client }: NodeEntry, access: Access): Promise<NodeStatus> {
  const address = formatAddress(client);
  const answer = await askNode(client, ["REPLICA", "STATUS"], ASK_MS, access);
  if (answer.kind !== "text") return { node: id, address, reached: false, why: answer.text };
  return { node: id, address, reached: true, status: JSON.parse(answer.text) as Status }; // as our own server writes it
}

/** Exit 1 when a node is not reached. */
export async function clusterStatus(options: AdminOptions, output: Output): Promise<ExitCode> {
  const access = accessOf(options);
  const all = await Promise.all(nodesOf(options.config).map((node) => statusOf(node, access)));
  for (const one of all) {
    if (!one.reached) output.event("node", { node: one.node, address: one.address, reached: false, why: one.why });
    else output.event("node", { ...one.status, node: one.node, address: one.address, reached: true });
  }
  const head = ["node", "address", "mode", "keys", "no vote", "undecided", "behind", "last pass", "found", "scrub", ""];
  for (const line of table([head, ...all.map(rowOf)])) output.line(line);
  return all.every(({ reached }) => reached) ? EXIT.ok : EXIT.failed;
}

function rowOf(one: NodeStatus): string[] {
  if (!one.reached) return [one.node, one.address, "not reached", "", "", "", "", "", "", "", one.why];
  const { status } = one;
  const { level1, level2, level3 } = status.undecided;
  const { found, sinceMs } = status.verification;
  const notes = [
    status.state === "serving" ? "" : status.state,
    status.loss.open ? `loss ${String(status.loss.number)} is open` : "",
    status.loss.unfenced.length > 0 && status.loss.number > 0 ? `waits for ${status.loss.unfenced.join(", ")}` : "",
    found.lostTwice > 0 ? `${String(found.lostTwice)} keys are lost twice: see docs/operations.md` : "",
    found.lostDisks > 0 ? "another disk is lost as well: see docs/operations.md" : "",
    status.corruptKeys > 0 ? `${String(status.corruptKeys)} keys with broken records` : "",
  ];
  return [
    one.node,
    one.address,
    status.drained ? `${status.mode}, drained` : status.mode,
    String(status.keys),
    status.loss.open ? "most" : String(status.learners),
    `${String(level1)}/${String(level2)}/${String(level3)}`,
    status.catchUp.backlog > 0 ? `${String(status.catchUp.backlog)} for ${seconds(status.catchUp.ageMs)}` : "0",
    sinceMs < 0 ? "never" : `${seconds(sinceMs)} ago`,
    `${String(found.behind)} behind, ${String(found.diverged)} diverged`,
    `${String(status.scrub.passes)} passes, ${String(status.scrub.damagedRecords)} broken`,
    notes.filter((note) => note !== "").join("; "),
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export async function clusterLearner(
  options: AdminOptions,
  id: string,
  word: string,
  output: Output,
): Promise<ExitCode> {
  if (word !== "on" && word !== "off") throw new CommandError(EXIT.usage, `say on or off, not ${word}`);
  const { client } = nodeOf(options.config, id);
  const answer = await askNode(client, ["REPLICA", "LEARNER", word], ASK_MS, accessOf(options));
  if (answer.kind !== "text") throw new CommandError(EXIT.failed, `${id} at ${formatAddress(client)}: ${answer.text}`);
  output.event("learner", { node: id, learner: word === "on" });
  output.line(word === "on" ? `${id} does not vote until it is ordered to` : `${id} votes`);
  return EXIT.ok;
}

/** Any node of the bootstrap group takes the order; it holds for the whole cluster. */
export async function clusterDrain(options: AdminOptions, id: string, word: string, output: Output): Promise<ExitCode> {
  if (word !== "on" && word !== "off") throw new CommandError(EXIT.usage, `say on or off, not ${word}`);
  nodeOf(options.config, id);
  const { nodes, placement } = loadConfig(options.config, process.env, {});
  const holders = nodes.filter((node) => mapHolders(placement).includes(node.id));
  // Its own store may be what is slow: the others first.
  const problems: string[] = [];
  const access = accessOf(options);
  for (const holder of holders.toSorted((a, b) => Number(a.id === id) - Number(b.id === id))) {
    const answer = await askNode(holder.client, ["REPLICA", "DRAIN", id, word], ASK_MS, access);
    if (answer.kind === "text") {
      output.event("drain", { node: id, drained: word === "on" });
      output.line(
        word === "on"
          ? `${id} is spared: clients that follow the cluster's map ask it last, and it leads no key`
          : `${id} takes its part again`,
      );
      return EXIT.ok;
    }
    problems.push(`${holder.id} at ${formatAddress(holder.client)}: ${answer.text}`);
  }
  throw new CommandError(EXIT.failed, problems.join("; "));
}

/**
 * P31: an operator's decision on a second loss of the same keys before the first was repaired. One node at a time: the other
 * one learns from it, and repairs itself.
 */
export async function clusterAcceptLoss(options: AdminOptions, id: string, output: Output): Promise<ExitCode> {
  const access = accessOf(options);
  const { client } = nodeOf(options.config, id);
  for (const other of nodesOf(options.config).filter((node) => node.id !== id)) {
    const one = await statusOf(other, access);
    if (!one.reached) throw new CommandError(EXIT.failed, `${other.id} ${one.why}: all nodes must be there for that`);
  }
  const answer = await askNode(client, ["REPLICA", "ACCEPT-LOSS"], ASK_MS, access);
  if (answer.kind !== "text") throw new CommandError(EXIT.failed, `${id} at ${formatAddress(client)}: ${answer.text}`);
  const accepted = answer.text === "OK";
  output.event("accept-loss", { node: id, accepted });
  output.line(
    accepted
      ? `${id} votes again for what it and another node have lost, when all others have told what they hold`
      : `nothing at ${id} waits for a decision`,
  );
  return accepted ? EXIT.ok : EXIT.failed;
}

/** A whole pass at every node, one after the other. Exit 1 when a node is not reached, or something is left to people. */
export async function verifyNow(options: AdminOptions, output: Output): Promise<ExitCode> {
  const access = accessOf(options);
  let clean = true;
  for (const { id, client } of nodesOf(options.config)) {
    const answer = await askNode(client, ["REPLICA", "VERIFY"], VERIFY_MS, access);
    if (answer.kind !== "text") {
      clean = false;
      output.event("verified", { node: id, reached: false, why: answer.text });
      output.line(`${id}: ${answer.text}`);
      continue;
    }
    const found = JSON.parse(answer.text) as Found; // as our own server writes it
    if (found.diverged > 0 || found.lostTwice > 0 || found.lostDisks > 0) clean = false;
    output.event("verified", { node: id, reached: true, ...found });
    const counts = Object.entries(found).map(([what, count]) => `${what} ${String(count)}`);
    output.line(`${id}: ${counts.join(", ")}`);
  }
  return clean ? EXIT.ok : EXIT.failed;
}

/**
 * P33: takes the node's old data aside and starts it on an empty disk under its name, in this process. The others must be
 * there and whole: from them alone it learns everything, and a key that one of them has lost too would be lost for good.
 */
export async function clusterReplace(options: AdminOptions, id: string, output: Output): Promise<ExitCode> {
  const { config } = options;
  const access = accessOf(options);
  const own = loadConfig(config, process.env, {});
  if (own.nodeId !== id) {
    throw new CommandError(EXIT.usage, `${config} is the configuration of ${own.nodeId}; name that of ${id}`);
  }
  for (const other of own.nodes.filter((node) => node.id !== id)) {
    const one = await statusOf(other, access);
    const problem = one.reached ? (one.status.mode === "voter" ? "" : `is a ${one.status.mode}`) : one.why;
    if (problem !== "")
      throw new CommandError(EXIT.failed, `${other.id} ${problem}: replace ${id} when all others vote`);
  }
  await stopNode(nodeOf(config, id), access, output);
  for (const path of own.data) setAside(path, output);
  output.event("replaced", { node: id });
  output.line(
    `${id} starts on an empty disk; it serves at once, and votes for each key when all others have told of it`,
  );
  return await runServer({ config, stopWithStdin: false, flags: {} });
}

async function stopNode({ id, client }: NodeEntry, access: Access, output: Output): Promise<void> {
  const first = await askNode(client, ["SHUTDOWN"], ASK_MS, access);
  if (first.kind === "silent" && first.text !== "the connection was closed") return; // it does not run
  output.line(`${id} is stopped`);
  const endMs = performance.now() + STOP_MS;
  while (performance.now() < endMs) {
    const answer = await askNode(client, ["PING"], ASK_MS, access);
    if (answer.kind === "silent" && answer.text.includes("ECONNREFUSED")) return;
    await sleep(POLL_MS);
  }
  throw new CommandError(EXIT.failed, `${id} at ${formatAddress(client)} does not stop`);
}

function setAside(path: string, output: Output): void {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    throw new CommandError(EXIT.data, `${path} is no directory: empty the device by hand, then start the node`);
  }
  let number = 1;
  while (existsSync(`${path}.replaced-${String(number)}`)) number++;
  const aside = `${path}.replaced-${String(number)}`;
  renameSync(path, aside);
  output.event("set-aside", { from: path, to: aside });
  output.line(`the old data is in ${aside}; remove it when the node votes`);
}
