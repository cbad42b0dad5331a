/** MULTI, EXEC, DISCARD, WATCH, UNWATCH, and RESET, which ends all of them. */
import type { Key } from "../base/key.js";
import type { Condition, Operation } from "../paxos/operation.js";
import { readStepAnswers } from "../paxos/steps.js";
import { keyAt, keysFrom } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import type { Command } from "./command-table.js";
import { refusal, writeFailure, writeRefused } from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Renderer, Slot } from "./slot.js";
import type { Arguments } from "./stored-arguments.js";
import { CROSSKEY, endTransaction, renderParts, Transaction, TransactionPlan } from "./transaction.js";

const AT_ONCE: ReadonlySet<string> = new Set(["exec", "discard", "multi", "watch", "quit", "reset"]);

/** True: between MULTI and EXEC it is not queued. */
export function runsAtOnce(command: Command): boolean {
  return AT_ONCE.has(command.spec.name);
}

/** Puts a command aside for EXEC. */
export function queue(client: Client, transaction: Transaction, command: Command, args: Arguments): void {
  if (command.outsideMulti) {
    client.out.error("ERR Command not allowed inside a transaction");
    transaction.broken = true;
    return;
  }
  const keys: Key[] = [];
  for (const index of command.keyIndexes(args.argc)) {
    const key = keyAt(client, args, index);
    if (key === null) {
      transaction.broken = true;
      return;
    }
    keys.push(key);
  }
  const error = transaction.add(client, command, args, keys);
  if (error === null) client.out.simple("QUEUED");
  else client.out.error(error);
}

export const multi: Handler = (client) => {
  if (client.transaction !== null) client.out.error("ERR MULTI calls can not be nested");
  else if (client.settled()) {
    client.transaction = new Transaction();
    client.out.simple("OK");
  }
};

export const discard: Handler = (client) => {
  if (client.transaction === null) {
    client.out.error("ERR DISCARD without MULTI");
    return;
  }
  endTransaction(client);
  client.out.simple("OK");
};

export const watch: Handler = (client, args) => {
  if (client.transaction !== null) {
    client.out.error("ERR WATCH inside MULTI is not allowed");
    return;
  }
  const keys = keysFrom(client, args, 1, 1);
  const key = keys?.[0];
  if (keys === null || key === undefined || !client.settled()) return;
  const held = client.watch;
  if (keys.some((other) => other !== (held?.key ?? key))) {
    client.out.error(CROSSKEY);
    return;
  }
  client.read(key, (out, slot) => {
    const { read } = slot;
    if (read?.status === "ok") {
      client.watch = held ?? { key, version: read.found ? read.version : 0 };
      out.simple("OK");
    } else {
      client.watch = { key, version: null };
      out.error(read === null ? "ERR the answer was lost" : refusal(read.code, read.message));
    }
  });
};

export const unwatch: Handler = (client) => {
  if (!client.settled()) return;
  client.watch = null;
  client.out.simple("OK");
};

export const reset: Handler = (client) => {
  if (!client.settled()) return;
  endTransaction(client);
  client.resp3 = false;
  client.replyMode = "on";
  client.name = "";
  client.endAuthentication(client.context.users.initial);
  client.context.monitors.delete(client);
  client.context.feed.subscriptions.forget(client);
  client.out.resp3 = false;
  client.out.simple("RESET");
};

export const exec: Handler = (client) => {
  const { transaction } = client;
  if (transaction === null) {
    client.out.error("ERR EXEC without MULTI");
    return;
  }
  if (!client.settled()) return;
  const held = client.watch;
  endTransaction(client);
  if (transaction.broken) client.out.error("EXECABORT Transaction discarded because of previous errors.");
  else if (held?.version === null) client.out.nullArray();
  else run(client, transaction, held?.key ?? null, held?.version ?? 0);
};

function run(client: Client, transaction: Transaction, watched: Key | null, version: number): void {
  const { resp3, out, context } = client;
  const plan = new TransactionPlan(client);
  for (const queued of transaction.queued) plan.run(queued);
  const { parts, steps } = plan;
  const key = transaction.key ?? watched;
  if (key === null || (watched === null && steps.length === 0)) {
    out.array(parts.length);
    renderParts(out, parts, [], 0);
    return;
  }
  const condition: Condition = watched === null ? { kind: "none" } : { kind: "version", version };
  const operation: Operation = { kind: "steps", condition, steps, maxBytes: 2 * context.limits.maxValueBytes };
  const render: Renderer = (target, slot) => {
    target.resp3 = resp3;
    renderExec(target, slot, plan);
  };
  client.write(key, operation, render);
}

function renderExec(out: ReplyWriter, { write }: Slot, { parts, steps }: TransactionPlan): void {
  const outcome = write ?? { status: "unknown" as const, message: "the outcome was lost" };
  if (writeRefused(out, outcome)) return;
  if (outcome.status === "failed" && outcome.reason === "version") {
    out.nullArray();
    return;
  }
  if (outcome.status === "failed" && outcome.reason !== "unchanged") {
    writeFailure(out, outcome.reason);
    return;
  }
  const told = outcome.status === "ok" || outcome.status === "failed" ? outcome.result : null;
  const answers = readStepAnswers(told, steps.length);
  if (answers === null) {
    out.error("UNKNOWN the transaction was decided, but its answers were lost");
    return;
  }
  out.array(parts.length);
  renderParts(out, parts, answers, outcome.status === "ok" ? outcome.index : 0);
}
