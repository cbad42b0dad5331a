/** Messages, records, inputs and answers as short lines for people: the words of traces and transcripts. */
import type { Entry } from "../../paxos/entry.js";
import { requestsOf } from "../../paxos/entry.js";
import type { RecordWrite } from "../../paxos/effects.js";
import type { Message } from "../../paxos/message.js";
import type { Operation, ReadOutcome, WriteOutcome } from "../../paxos/operation.js";
import type { Input } from "../../paxos/replica.js";
import { ballotName, requestName } from "./oracle.js";
import { plainResult, text } from "./value-model.js";

export function renderEntry(entry: Entry | null): string {
  if (entry === null) return "nothing";
  const own = requestsOf(entry).filter((request) => request.index === entry.index);
  const names = own.map((request) => (request.refusal === null ? "" : "!") + requestName(request.id)).join(" ");
  const value = entry.tombstone ? "deleted" : JSON.stringify(text(entry.value).slice(0, 12));
  return `e${String(entry.index)}(${value} v${String(entry.version)} L${String(entry.leader)} [${names}])`;
}

export function renderMessage(message: Message): string {
  const based = "base" in message && message.base !== null ? ` base ${renderEntry(message.base)}` : "";
  switch (message.type) {
    case "prepare":
      return `prepare ${String(message.index)} ${ballotName(message.ballot)}${based}`;
    case "promise":
      return `promise ${String(message.index)} ${ballotName(message.ballot)} ${message.granted ? "granted" : `refused (${ballotName(message.promised)})`} accepted ${ballotName(message.accepted)} ${renderEntry(message.entry)}`;
    case "accept":
      return `accept ${ballotName(message.ballot)} ${renderEntry(message.entry)} for ${String(message.proposer)}${based}`;
    case "accepted":
      return `accepted ${String(message.index)} ${ballotName(message.ballot)} ${message.granted ? "granted" : `refused (${ballotName(message.promised)})`}`;
    case "behind":
      return `behind ${String(message.chosenIndex)} at ${message.phase} ${String(message.index)}`;
    case "learn":
      return `learn ${renderEntry(message.entry)}`;
    case "chosen":
      return `chosen ${String(message.index)} ${ballotName(message.ballot)}`;
    case "submit":
      return `submit ${renderEntry(message.entry)}${based}`;
    case "submit-refused":
      return `submit-refused ${String(message.index)} (${ballotName(message.promised)})`;
    case "forward":
      return `forward ${requestName(message.request)} ${message.operation.kind} since ${String(message.since)} #${String(message.sequence)}`;
    case "forward-reply":
      return `forward-reply ${requestName(message.request)} ${renderWrite(message.outcome)}`;
    case "state-query":
      return `state-query #${String(message.query % 2 ** 40)}`;
    case "state-reply":
      return `state-reply #${String(message.query % 2 ** 40)} chosen ${String(message.chosenIndex)} accepted ${ballotName(message.accepted)}${message.votes ? "" : " no vote"}${message.entry === null ? "" : " with entry"}`;
    case "fetch":
      return `fetch ${String(message.index)}`;
  }
}

export function renderRecord(write: RecordWrite): string {
  if (write.chosen) return `record chosen ${renderEntry(write.entry)}`;
  return `record ${String(write.index)} promised ${ballotName(write.promised)} accepted ${ballotName(write.accepted)} ${renderEntry(write.entry)}`;
}

export function renderOperation(operation: Operation | null): string {
  if (operation === null) return "read";
  const value = "value" in operation ? ` ${JSON.stringify(text(operation.value).slice(0, 12))}` : "";
  const delta = operation.kind === "add" ? ` ${operation.delta}` : "";
  const condition =
    operation.kind === "set" && operation.condition.kind !== "none" ? ` if ${operation.condition.kind}` : "";
  const expiry = "expiryMs" in operation && operation.expiryMs !== 0 ? ` until ${String(operation.expiryMs)}` : "";
  return `${operation.kind}${value}${delta}${condition}${expiry}`;
}

export function renderWrite(outcome: WriteOutcome): string {
  switch (outcome.status) {
    case "ok":
      return `OK at ${String(outcome.index)} (${String(plainResult(outcome.result))})`;
    case "failed":
      return `FAILED ${outcome.reason}`;
    case "not-applied":
      return `NOT APPLIED ${outcome.code}`;
    case "unknown":
      return "UNKNOWN";
  }
}

export function renderRead(outcome: ReadOutcome): string {
  if (outcome.status === "refused") return `REFUSED ${outcome.code}`;
  return outcome.found
    ? `${JSON.stringify(text(outcome.value).slice(0, 12))} at ${String(outcome.index)}`
    : `absent at ${String(outcome.index)}`;
}

export function renderInput(input: Input): string {
  switch (input.type) {
    case "message":
      return `${String(input.from)}: ${renderMessage(input.message)}`;
    case "write":
      return `client ${String(input.client)} ${renderOperation(input.operation)}`;
    case "read":
      return `client ${String(input.client)} read`;
    case "persisted":
      return `persisted ${String(input.sequence)}`;
    case "restore":
      return `votes from index ${String(input.votesFrom)} after loss ${String(input.loss)}`;
    case "tick":
      return "tick";
  }
}
