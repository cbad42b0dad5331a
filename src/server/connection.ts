/**
 * One client connection: bytes in, commands run, replies out in the order of the commands. It owns the socket and the
 * phases of its life; the line of replies is the pipeline's. It stops taking commands, and pauses the socket, while a
 * command must wait, while all slots are taken and while the client does not read its replies. At the last bound the
 * connection ends; nothing that was acknowledged is lost by that.
 */
import type { KeyService } from "../node/service.js";
import type { Socket } from "node:net";
import type { Key } from "../base/key.js";
import type { Operation, ReadOutcome } from "../paxos/operation.js";
import type { Client, ReplyMode } from "./client.js";
import type { Command } from "./command-table.js";
import { showMonitors } from "./commands-watching.js";
import { dispatch } from "./dispatch.js";
import type { HeldConnection } from "./input-share.js";
import { Pipeline, type PipelineOwner } from "./pipeline.js";
import type { ReplyWriter } from "./reply-writer.js";
import { RespParser } from "./resp-parser.js";
import type { Flushable, ServerContext } from "./server-context.js";
import { noteSlow } from "./slow-log.js";
import type { Keeping, Renderer, Slot } from "./slot.js";
import { endTransaction, type Transaction, type Watch } from "./transaction.js";
import type { User } from "./users.js";

/** open: commands are taken. draining: what was taken is answered. ended: our side is closed. closed: all is over. */
type Phase = "open" | "draining" | "ended" | "closed";

export class Connection implements Client, Flushable, HeldConnection, PipelineOwner {
  readonly id: number;
  readonly context: ServerContext;
  readonly connectedAtMs = Date.now();
  resp3 = false;
  replyMode: ReplyMode = "on";
  transaction: Transaction | null = null;
  watch: Watch | null = null;
  name = "";
  libName = "";
  libVersion = "";
  lastCommand = "NULL";
  authenticating = false;
  #user: User | null;
  readonly #socket: Socket;
  readonly #onGone: (connection: Connection) => void;
  readonly #parser: RespParser;
  readonly #pipeline: Pipeline;
  #phase: Phase = "open";
  #scheduled = false;
  #paused = false;
  /** Input was received and waits for its turn. */
  #held = false;
  /** What of the server's total of unfinished input is ours. */
  #partialBytes = 0;
  #commands = 0;
  #lastInputMs = Date.now();
  #sentBytes = 0;
  #lastOutputMs = Date.now();
  #endedMs = 0;

  constructor(id: number, socket: Socket, context: ServerContext, onGone: (connection: Connection) => void) {
    this.id = id;
    this.context = context;
    this.#socket = socket;
    this.#onGone = onGone;
    this.#user = context.users.initial;
    this.#parser = new RespParser(this.#user === null ? context.limits.strangersParser : context.limits.parser);
    this.#pipeline = new Pipeline(context, this);
    socket.on("data", (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on("end", () => {
      this.end();
    });
    socket.on("drain", () => {
      this.flush();
    });
    socket.on("error", () => {
      // "close" follows and does what is to be done; why a client went away is of no use to anybody.
    });
    socket.on("close", () => {
      this.#gone();
    });
  }

  get remoteAddress(): string {
    return `${this.#socket.remoteAddress ?? "?"}:${String(this.#socket.remotePort ?? 0)}`;
  }

  get localAddress(): string {
    return `${this.#socket.localAddress ?? "?"}:${String(this.#socket.localPort ?? 0)}`;
  }

  get pendingInputBytes(): number {
    return this.#parser.pendingBytes;
  }

  get pendingOutputBytes(): number {
    return this.#pipeline.heldBytes + this.#socket.writableLength;
  }

  get pendingReplies(): number {
    return this.#pipeline.waiting;
  }

  get lastInputMs(): number {
    return this.#lastInputMs;
  }

  // ---- what commands may do

  get user(): User | null {
    return this.#user;
  }

  beginAuthentication(): void {
    this.authenticating = true;
  }

  endAuthentication(user: User | null = this.#user): void {
    this.authenticating = false;
    this.#user = user;
    if (user?.role !== "admin") this.context.monitors.delete(this);
    const { parser, strangersParser } = this.context.limits;
    this.#parser.limits = user === null ? strangersParser : parser;
  }

  get command(): Command | null {
    return this.#pipeline.command;
  }

  set command(command: Command | null) {
    this.#pipeline.command = command;
  }

  get out(): ReplyWriter {
    return this.#pipeline.out;
  }

  read(key: Key, render: Renderer): void {
    this.#pipeline.read(key, render);
  }

  write(key: Key, operation: Operation, render: Renderer): void {
    this.#pipeline.write(key, operation, render);
  }

  readMany(keys: readonly Key[], render: Renderer, keeping: Keeping = "values"): void {
    this.#pipeline.readMany(keys, render, keeping);
  }

  writeMany(keys: readonly Key[], operations: readonly Operation[], render: Renderer): void {
    this.#pipeline.writeMany(keys, operations, render);
  }

  inspect(key: Key, render: Renderer): void {
    this.#pipeline.inspect(key, render);
  }

  askNode(begin: (service: KeyService, answer: (text: string) => void) => void, render: Renderer): void {
    this.#pipeline.askNode(begin, render);
  }

  later(begin: (answer: (text: string) => void) => void, render: Renderer): void {
    this.#pipeline.later(begin, render);
  }

  wait(begin: (answer: (outcome: ReadOutcome | null) => void) => void, render: Renderer): void {
    this.#pipeline.wait(begin, render);
  }

  settled(): boolean {
    return this.#pipeline.settled();
  }

  quit(): void {
    this.#phase = "draining";
  }

  push(bytes: Uint8Array): boolean {
    const { softOutputBytes } = this.context.limits;
    if (this.#phase !== "open" || this.#pipeline.full || this.pendingOutputBytes > softOutputBytes) return false;
    this.#pipeline.appendReady(bytes);
    this.#schedule();
    return true;
  }

  // ---- input

  #receive(chunk: Buffer): void {
    this.context.counters.inputBytes += chunk.length;
    if (this.#phase !== "open") return;
    this.#lastInputMs = Date.now();
    this.#parser.feed(chunk);
    if (this.#held) return;
    if (this.context.inputShare.take(this, this.context.nowUs())) this.release();
    else {
      this.#held = true;
      this.#pause(true);
    }
  }

  release(): void {
    this.#held = false;
    if (this.#phase === "closed") return;
    this.#pump();
    this.#send();
  }

  /** Takes commands as long as nothing stands in the way. */
  #pump(): void {
    const { context } = this;
    const parser = this.#parser;
    const pipeline = this.#pipeline;
    pipeline.turn = ++context.turn;
    pipeline.arrivedUs = context.nowUs();
    context.admission.look(pipeline.arrivedUs);
    const { softOutputBytes } = context.limits;
    let blocked = false;
    while (this.#phase === "open") {
      blocked = pipeline.full || this.pendingOutputBytes + context.out.length > softOutputBytes;
      if (blocked) break;
      if (!pipeline.stalled) {
        const result = parser.next();
        if (result === "more") break;
        if (result === "error") {
          this.#protocolError(parser.error);
          break;
        }
      }
      this.#run();
      if (pipeline.stalled) break;
    }
    this.#accountInput();
    this.#pause((blocked || pipeline.stalled) && this.#phase === "open");
  }

  /** Runs the command that the parser holds. */
  #run(): void {
    const { context } = this;
    const pipeline = this.#pipeline;
    const wasOff = this.replyMode === "off";
    const silent = wasOff || this.replyMode === "skipping";
    const direct = pipeline.empty && !silent;
    const out = direct ? context.out : context.scratch;
    out.resp3 = this.resp3;
    pipeline.out = out;
    pipeline.resp3 = this.resp3;
    pipeline.silent = silent;
    pipeline.issued = false;
    pipeline.stalled = false;
    const { errors } = out;
    const command = dispatch(this, this.#parser);
    if (pipeline.stalled) return;
    this.#commands++;
    context.counters.commands++;
    if (command !== null) {
      // Once, and only now that it was taken: a line goes into the pipeline, which a stalled command waits for.
      if (context.monitors.size > 0) showMonitors(this, this.#parser, command);
      command.calls++;
      this.lastCommand = command.spec.name;
      if (out.errors > errors) command.failed++;
    }
    if (this.replyMode === "skipping") this.replyMode = "on";
    else if (this.replyMode === "skip") this.replyMode = "skipping";
    if (direct || pipeline.issued) return;
    const ready = context.scratch.take();
    // What switched replies on again is answered.
    const wanted = !silent || (wasOff && this.replyMode === "on");
    if (wanted && ready.length > 0) pipeline.appendReady(ready);
  }

  #protocolError(message: string): void {
    const { context } = this;
    context.counters.protocolErrors++;
    this.#phase = "draining";
    if (this.#pipeline.empty) {
      context.out.error(`ERR ${message}`);
      return;
    }
    context.scratch.error(`ERR ${message}`);
    this.#pipeline.silent = false;
    this.#pipeline.appendReady(context.scratch.take());
  }

  /** Lets go of what was consumed, and reports what is left to the total of the server. */
  #accountInput(): void {
    const { context } = this;
    if (this.#pipeline.stalled && this.#phase === "open") return;
    this.#parser.release();
    const pending = this.#phase === "open" ? this.#parser.pendingBytes : 0;
    context.partialBytes += pending - this.#partialBytes;
    this.#partialBytes = pending;
    if (pending > 0 && context.partialBytes > context.limits.maxPartialBytes) {
      this.#protocolError("Protocol error: too many unfinished commands on this server");
    }
  }

  #pause(wanted: boolean): void {
    if (wanted === this.#paused) return;
    this.#paused = wanted;
    if (wanted) this.#socket.pause();
    else this.#socket.resume();
  }

  // ---- output

  onSlow(slot: Slot, command: Command, durationUs: number): void {
    noteSlow(this, slot, command, durationUs);
  }

  onReady(): void {
    if (this.pendingOutputBytes > this.context.limits.maxOutputBytes) {
      this.context.counters.outputOverruns++;
      this.#socket.destroy();
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.context.schedule(this);
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#phase === "closed") return;
    this.#pipeline.render(this.context.out, this.context.limits.softOutputBytes - this.#socket.writableLength);
    if (this.#phase === "open" && this.#paused && !this.#held) this.#pump();
    this.#send();
  }

  #send(): void {
    const { out, counters } = this.context;
    counters.outputBytes += out.length;
    out.sendTo(this.#socket);
    if (this.#couldGoOn()) this.#schedule();
    if (this.#phase !== "draining" || !this.#pipeline.empty) return;
    this.#phase = "ended";
    this.#endedMs = Date.now();
    this.#accountInput();
    this.#socket.end();
    // What the client still sends is read and dropped: closing with unread input would tear down the last reply.
    this.#pause(false);
  }

  /** True when a bound on output had stopped us and the kernel has taken it all: then no "drain" will come. */
  #couldGoOn(): boolean {
    const { softOutputBytes } = this.context.limits;
    const pipeline = this.#pipeline;
    if (pipeline.ready) return this.#socket.writableLength < softOutputBytes;
    if (!this.#paused || this.#held || this.#phase !== "open" || pipeline.stalled || pipeline.full) return false;
    return this.pendingOutputBytes <= softOutputBytes;
  }

  // ---- the end

  /** No further command is taken; everything taken is answered. */
  end(): void {
    if (this.#phase !== "open") return;
    this.#phase = "draining";
    this.flush();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called now and then: ends what has stopped for good. A client that we said goodbye to gets `lingerMs` to go. */
  sweep(nowMs: number, lingerMs: number): void {
    const unsent = this.#socket.writableLength;
    const sent = this.#socket.bytesWritten - unsent;
    if (sent !== this.#sentBytes || unsent === 0) {
      this.#sentBytes = sent;
      this.#lastOutputMs = nowMs;
    }
    if (!this.#overdue(nowMs, lingerMs)) return;
    if (this.#phase !== "ended") this.context.counters.timedOut++;
    this.#socket.destroy();
  }

  #overdue(nowMs: number, lingerMs: number): boolean {
    const { limits } = this.context;
    if (nowMs - this.#lastOutputMs > limits.stalledOutputMs) return true;
    if (this.#phase === "ended") return nowMs - this.#endedMs > lingerMs;
    if (this.#phase !== "open" || this.#paused || !this.#pipeline.empty) return false;
    const quietMs = nowMs - this.#lastInputMs;
    if (this.#commands === 0 && quietMs > limits.handshakeMs) return true;
    if (this.#parser.midway && quietMs > limits.partialCommandMs) return true;
    const { idleSeconds } = this.context.settings;
    if (idleSeconds === 0 || quietMs <= idleSeconds * 1000) return false;
    return !this.context.monitors.has(this) && this.context.feed.subscriptions.count(this) === 0;
  }

  #gone(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#pipeline.close();
    endTransaction(this);
    this.context.partialBytes -= this.#partialBytes;
    this.#partialBytes = 0;
    this.#onGone(this);
  }
}
