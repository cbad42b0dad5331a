/** Messages, records and frames as short lines for people: the words of a simulated run's story. */
import { type FrameVisitor, readFrame } from "../codec/frame.js";
import { headOf } from "../codec/record.js";
import type { SweepMessage } from "../codec/sweep.js";
import type { Ballot } from "../paxos/ballot.js";
import { type Entry, requestsOf } from "../paxos/entry.js";
import type { Message } from "../paxos/message.js";
import type { RequestId, WriteOutcome } from "../paxos/operation.js";

const decoder = new TextDecoder();
const SHOWN_BYTES = 12;

export function renderBallot({ counter, replica, incarnation }: Ballot): string {
  return counter < 0 ? "nothing" : `${String(counter)}.n${String(replica + 1)}.${String(incarnation)}`;
}

function renderRequest({ replica, incarnation, counter }: RequestId): string {
  return `n${String(replica + 1)}.${String(incarnation)}.${String(counter)}`;
}

export function renderEntry(entry: Entry | null): string {
  if (entry === null) return "no entry";
  const own = requestsOf(entry).filter(({ index }) => index === entry.index);
  const names = own.map(({ id, refusal }) => (refusal === null ? "" : "!") + renderRequest(id)).join(" ");
  const value = entry.tombstone ? "deleted" : JSON.stringify(decoder.decode(entry.value.subarray(0, SHOWN_BYTES)));
  return `e${String(entry.index)}(${value} version ${String(entry.version)} leader n${String(entry.leader + 1)} [${names}])`;
}

function renderOutcome(outcome: WriteOutcome): string {
  if (outcome.status === "not-applied") return `NOT APPLIED, ${outcome.code}`;
  return outcome.status.toUpperCase();
}

export function renderMessage(message: Message): string {
  const key = JSON.stringify(message.key.slice(1));
  return `${message.type} ${key} ${detailsOf(message)}`;
}

function detailsOf(message: Message): string {
  const base = "base" in message && message.base !== null ? `, base ${renderEntry(message.base)}` : "";
  switch (message.type) {
    case "prepare":
      return `${String(message.index)} at ${renderBallot(message.ballot)}${base}`;
    case "promise": {
      const granted = message.granted ? "granted" : `refused for ${renderBallot(message.promised)}`;
      const accepted = `accepted ${renderEntry(message.entry)} at ${renderBallot(message.accepted)}`;
      return `${String(message.index)} at ${renderBallot(message.ballot)}: ${granted}, ${accepted}`;
    }
    case "accept":
      return `${renderEntry(message.entry)} at ${renderBallot(message.ballot)} for n${String(message.proposer + 1)}${base}`;
    case "accepted": {
      const granted = message.granted ? "granted" : `refused for ${renderBallot(message.promised)}`;
      return `${String(message.index)} at ${renderBallot(message.ballot)}: ${granted}`;
    }
    case "behind":
      return `${String(message.index)} (${message.phase}): holds ${String(message.chosenIndex)}`;
    case "learn":
      return renderEntry(message.entry);
    case "chosen":
      return `${String(message.index)} at ${renderBallot(message.ballot)}`;
    case "submit":
      return `${renderEntry(message.entry)} #${String(message.sequence)}${base}`;
    case "submit-refused":
      return `${String(message.index)} #${String(message.sequence)}, chosen ${String(message.chosenIndex)}`;
    case "forward":
      return `${renderRequest(message.request)} ${message.operation.kind} since ${String(message.since)} #${String(message.sequence)}`;
    case "forward-reply":
      return `${renderRequest(message.request)} #${String(message.sequence)}: ${renderOutcome(message.outcome)}`;
    case "state-query":
      return `knows ${String(message.knownIndex)}`;
    case "state-reply": {
      const entry = message.entry === null ? "" : `, ${renderEntry(message.entry)}`;
      const vote = message.votes ? "" : ", no vote";
      return `chosen ${String(message.chosenIndex)}, accepted ${renderBallot(message.accepted)}${entry}${vote}`;
    }
    case "fetch":
      return String(message.index);
  }
}

/** A frame, one text for each thing in it; heartbeats are left out. */
export function renderFrame(payload: Uint8Array, replicas: number): string[] {
  const lines: string[] = [];
  const visitor: FrameVisitor = {
    onWatermark: () => undefined,
    onMessage: (message) => lines.push(renderMessage(message)),
    onControl: (message) => {
      if (message.type === "binding") lines.push(message.bound ? "binds you" : `does not bind you: ${message.reason}`);
    },
    onSweep: (message) => lines.push(renderSweep(message)),
    onBad: (reason) => lines.push(`something malformed: ${reason}`),
  };
  readFrame(payload, replicas, visitor);
  return lines;
}

function renderSweep(message: SweepMessage): string {
  switch (message.type) {
    case "digests-query":
      return `asks for ${String(message.count)} digests from ${String(message.first)} on`;
    case "digests":
      return `digests from ${String(message.first)} on`;
    case "list-query":
      return `asks what is held in buckets ${String(message.first)} to ${String(message.end)}, loss ${String(message.loss)}`;
    case "list": {
      const states = message.keys.map(({ key, top, chosenIndex, votes }) => {
        const undecided = top > chosenIndex ? `, up to ${String(top)}` : "";
        return `${key.slice(1)} chosen ${String(chosenIndex)}${undecided}${votes ? "" : ", no vote"}`;
      });
      return `holds ${states.join("; ")}${message.open ? ", and cannot tell of others" : ""}`;
    }
  }
}

export function renderHeader(position: number, header: Uint8Array, replicas: number): string {
  const head = headOf(header, replicas);
  if (head === null) return `record ${String(position)}, which cannot be read`;
  const learner = head.learner ? ", learner" : "";
  if (head.chosen) return `record ${String(position)}: chosen${learner}`;
  const accepted = head.hasEntry ? `accepted at ${renderBallot(head.accepted)}` : "nothing accepted";
  return `record ${String(position)}: promised ${renderBallot(head.promised)}, ${accepted}${learner}`;
}
