/**
 * What a connection has queued since MULTI, and how it becomes one operation at EXEC: the handlers run once more against a
 * client that notes what they would hand to the node, so that every command means the same inside and outside. All keys
 * are one key, because one key's log is all that can be changed at once.
 */
import { assert } from "../base/assert.js";
import type { Key } from "../base/key.js";
import { MAX_STEPS, type Operation, type Step, type WriteOutcome } from "../paxos/operation.js";
import type { User } from "./users.js";
import type { StepAnswer } from "../paxos/steps.js";
import type { Client, ReplyMode } from "./client.js";
import type { Command } from "./command-table.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { ServerContext } from "./server-context.js";
import { ManyKeys, type Renderer, Slot } from "./slot.js";
import { type Arguments, StoredArguments } from "./stored-arguments.js";

export const CROSSKEY = "CROSSKEY all keys of a transaction must be one key";
const TOO_MUCH = "ERR too much is queued in this transaction";
/** What one queued argument takes besides its bytes. */
const ARGUMENT_BYTES = 64;

/** The key of WATCH. */
export interface Watch {
  readonly key: Key;
  /** The live value's version, 0 = absent; null: it could not be read, and EXEC will not take place. */
  readonly version: number | null;
}

interface Queued {
  readonly command: Command;
  readonly args: Arguments;
}

export class Transaction {
  readonly queued: Queued[] = [];
  key: Key | null = null;
  /** A command could not be queued: EXEC will refuse all of them. */
  broken = false;
  /** What the queued commands hold; counted in the server's total too. */
  #bytes = 0;
  /** Steps that they will make at most. */
  #steps = 0;

  /** Queues a copy of the command; the error when it cannot be. `keys` are the command's. */
  add(client: Client, command: Command, args: Arguments, keys: readonly Key[]): string | null {
    const { context } = client;
    const own = this.key ?? client.watch?.key ?? keys[0] ?? null;
    const bytes = bytesOf(args);
    // A command on several keys makes a step of each.
    const steps = Math.max(1, keys.length);
    const error = keys.some((key) => key !== own) ? CROSSKEY : this.#fits(context, bytes, steps) ? null : TOO_MUCH;
    if (error !== null) {
      this.broken = true;
      return error;
    }
    if (keys.length > 0) this.key = own;
    this.#bytes += bytes;
    this.#steps += steps;
    context.queuedBytes += bytes;
    this.queued.push({ command, args: new StoredArguments(args) });
    return null;
  }

  #fits({ limits, queuedBytes }: ServerContext, bytes: number, steps: number): boolean {
    if (this.#steps + steps > MAX_STEPS || this.#bytes + bytes > limits.maxValueBytes) return false;
    return queuedBytes + bytes <= limits.maxPartialBytes;
  }

  /** Takes what it held out of the server's total. */
  release(context: ServerContext): void {
    context.queuedBytes -= this.#bytes;
    this.#bytes = 0;
  }
}

function bytesOf(args: Arguments): number {
  let bytes = 0;
  for (let index = 0; index < args.argc; index++) bytes += args.bytesOf(index) + ARGUMENT_BYTES;
  return bytes;
}

/** Ends what MULTI and WATCH began. */
export function endTransaction(client: Client): void {
  client.transaction?.release(client.context);
  client.transaction = null;
  client.watch = null;
}

/** How one queued command is answered: with a reply that was ready at once, or from `count` steps from `first` on. */
interface Part {
  readonly resp3: boolean;
  readonly ready: Uint8Array | null;
  readonly render: Renderer;
  readonly first: number;
  readonly count: number;
  /** Of a command on several keys. */
  readonly many: { readonly keys: readonly Key[]; readonly operations: readonly Operation[] | null } | null;
}

/** Takes the handlers' calls at EXEC. */
export class TransactionPlan implements Client {
  readonly steps: Step[] = [];
  readonly parts: Part[] = [];
  readonly out: ReplyWriter;
  transaction: Transaction | null = null;
  watch: Watch | null = null;
  command: Command | null = null;
  readonly #client: Client;

  /** To be made when nothing of the connection waits: it writes with the server's scratch writer. */
  constructor(client: Client) {
    this.#client = client;
    this.out = client.context.scratch;
  }

  /** Runs a queued command. */
  run({ command, args }: Queued): void {
    const { parts, out } = this;
    const before = parts.length;
    out.resp3 = this.resp3;
    this.command = command;
    command.spec.handler?.(this, args);
    command.calls++;
    if (parts.length === before) this.#add(nothing, 0, null, out.take());
    assert(parts.length === before + 1, "a command answers once");
  }

  #add(render: Renderer, count: number, many: Part["many"], ready: Uint8Array | null = null): void {
    this.parts.push({ resp3: this.resp3, ready, render, first: this.steps.length - count, count, many });
  }

  read(_key: Key, render: Renderer): void {
    this.steps.push({ kind: "read" });
    this.#add(render, 1, null);
  }

  write(_key: Key, operation: Operation, render: Renderer): void {
    this.#push(operation);
    this.#add(render, 1, null);
  }

  readMany(keys: readonly Key[], render: Renderer): void {
    for (let i = 0; i < keys.length; i++) this.steps.push({ kind: "read" });
    this.#add(render, keys.length, { keys, operations: null });
  }

  writeMany(keys: readonly Key[], operations: readonly Operation[], render: Renderer): void {
    for (const operation of operations) this.#push(operation);
    this.#add(render, keys.length, { keys, operations });
  }

  #push(operation: Operation): void {
    assert(operation.kind !== "steps" && operation.kind !== "expire-due", "a queued command is a step");
    this.steps.push(operation);
  }

  inspect(): void {
    assert(false, "commands that ask every replica are not queued");
  }

  askNode(): void {
    assert(false, "commands for operators are not queued");
  }

  /** AUTH and HELLO with a password: who the connection is does not change in the midst of EXEC. */
  later(): void {
    this.out.error("ERR Command not allowed inside a transaction");
  }

  wait(): void {
    assert(false, "what waits is not queued");
  }

  settled(): boolean {
    return true;
  }

  // ---- the rest is the connection's

  get id(): number {
    return this.#client.id;
  }

  get context(): ServerContext {
    return this.#client.context;
  }

  get user(): User | null {
    return this.#client.user;
  }

  get authenticating(): boolean {
    return this.#client.authenticating;
  }

  beginAuthentication(): void {
    assert(false, "see later()");
  }

  endAuthentication(): void {
    assert(false, "see later()");
  }

  get resp3(): boolean {
    return this.#client.resp3;
  }

  set resp3(on: boolean) {
    this.#client.resp3 = on;
  }

  get replyMode(): ReplyMode {
    return this.#client.replyMode;
  }

  set replyMode(mode: ReplyMode) {
    this.#client.replyMode = mode;
  }

  get name(): string {
    return this.#client.name;
  }

  set name(name: string) {
    this.#client.name = name;
  }

  get libName(): string {
    return this.#client.libName;
  }

  set libName(name: string) {
    this.#client.libName = name;
  }

  get libVersion(): string {
    return this.#client.libVersion;
  }

  set libVersion(version: string) {
    this.#client.libVersion = version;
  }

  get lastCommand(): string {
    return this.#client.lastCommand;
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get localAddress(): string {
    return this.#client.localAddress;
  }

  get connectedAtMs(): number {
    return this.#client.connectedAtMs;
  }

  get lastInputMs(): number {
    return this.#client.lastInputMs;
  }

  get pendingInputBytes(): number {
    return this.#client.pendingInputBytes;
  }

  get pendingOutputBytes(): number {
    return this.#client.pendingOutputBytes;
  }

  get pendingReplies(): number {
    return this.#client.pendingReplies;
  }

  quit(): void {
    this.#client.quit();
  }

  destroy(): void {
    this.#client.destroy();
  }

  push(bytes: Uint8Array): boolean {
    return this.#client.push(bytes);
  }
}

function nothing(): void {
  // For parts that are ready.
}

/** Writes the parts, each as its command would outside of a transaction. */
export function renderParts(
  out: ReplyWriter,
  parts: readonly Part[],
  answers: readonly StepAnswer[],
  index: number,
): void {
  for (const part of parts) {
    out.resp3 = part.resp3;
    if (part.ready !== null) {
      out.raw(part.ready);
      continue;
    }
    const slot = new Slot(0);
    const own = answers.slice(part.first, part.first + part.count);
    if (part.many !== null) slot.many = manyOf(part.many, own, index);
    else if (own[0] !== undefined) fill(slot, own[0], index);
    part.render(out, slot);
  }
}

function fill(slot: Slot, answer: StepAnswer, index: number): void {
  if (answer.kind === "read") slot.read = { status: "ok", found: answer.live.exists, ...answer.live, index };
  else slot.write = writeOf(answer, index);
}

function writeOf(answer: Extract<StepAnswer, { kind: "write" }>, index: number): WriteOutcome {
  const { refusal, result, version } = answer;
  if (refusal === null) return { status: "ok", index, version, result };
  return { status: "failed", reason: refusal, version, result };
}

function manyOf(many: NonNullable<Part["many"]>, answers: readonly StepAnswer[], index: number): ManyKeys {
  const filled = new ManyKeys(many.keys, many.operations);
  answers.forEach((answer, part) => {
    filled.issued++;
    if (answer.kind === "write") filled.takeWrite(writeOf(answer, index));
    else filled.takeRead(part, { status: "ok", found: answer.live.exists, ...answer.live, index });
  });
  return filled;
}
