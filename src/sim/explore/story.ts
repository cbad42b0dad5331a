/**
 * The way to a violation as a story for people: what was done to whom, what left, what became durable, what clients were
 * told. A search keeps only the acts; they are taken again here, on the same remembered steps.
 */
import { renderMessage, renderOperation, renderRead, renderRecord, renderWrite } from "../soup/render.js";
import { coreOperation, type Cores, ACTS, type Thing, type Transition } from "./cores.js";
import { readActCode } from "./search.js";

export function tell(cores: Cores, path: readonly number[]): string[] {
  const states = [...cores.first];
  const lines: string[] = [];
  for (const [at, code] of path.entries()) {
    const { replica, act, about } = readActCode(code);
    const transition = cores.transition(states[replica] ?? 0, act, about);
    lines.push(`${String(at + 1).padStart(2)}. ${tellAct(cores, replica, act, about)}`);
    lines.push(...tellOutcome(cores, transition).map((line) => `      ${line}`));
    states[replica] = transition.next;
  }
  return lines;
}

function tellAct(cores: Cores, replica: number, act: number, about: number): string {
  const who = `replica ${String(replica)}`;
  switch (ACTS[act]) {
    case "deliver":
      return `${tellThing(cores.thing(about))} arrives`;
    case "flush":
      return `${who} flushes`;
    case "crash":
      return `${who} crashes, what it had not flushed is lost; it restarts`;
    case "tear":
      return `${who} crashes, of what it flushed only the last record is found; it restarts`;
    case "lose-disk":
      return `${who} loses its disk and restarts`;
    case "wake":
      return `time passes at ${who}`;
    case "doubt":
      return `${who} suspects ${String(about)}`;
    default: {
      const operation = cores.operations[about];
      const core = operation === undefined ? null : coreOperation(operation, about);
      return `client ${String(about)} at ${String(replica)}: ${renderOperation(core)}`;
    }
  }
}

function tellThing(thing: Thing): string {
  if (thing.kind === "vote") return `a vote of replica ${String(thing.replica)}`;
  const what =
    thing.message === null ? `hello, incarnation ${String(thing.incarnation)}` : renderMessage(thing.message);
  return `${String(thing.from)} -> ${String(thing.to)}: ${what}`;
}

function tellOutcome(cores: Cores, transition: Transition): string[] {
  const lines: string[] = [];
  for (const write of transition.durable) lines.push(`durable: ${renderRecord(write)}`);
  for (const number of transition.things) {
    const thing = cores.thing(number);
    if (thing.kind === "message") lines.push(`sends ${tellThing(thing)}`);
  }
  for (const { operation, outcome } of transition.replies) {
    const answer = "found" in outcome || outcome.status === "refused" ? renderRead(outcome) : renderWrite(outcome);
    lines.push(`client ${String(operation)} is told ${answer}`);
  }
  if (transition.problem !== null) lines.push(transition.problem);
  return lines;
}
