// Makes histories from an atomic register: each operation takes effect at one instant between its start and its end
// (UNKNOWN ones at any later instant, or never), so the history is linearizable by construction. And mutates them. Used
// by the tests of the checker only; it must not share the checker's search.
import { Random } from "../../src/base/random.js";
import {
  applyCall,
  NEVER_WRITTEN,
  type Call,
  type HistoryOperation,
  type Reply,
  type Told,
} from "../../src/sim/history.js";

export interface RegisterOptions {
  readonly seed: number;
  readonly clients: number;
  readonly operations: number;
  /** Chance that a client is not told. */
  readonly unknown: number;
  /** Kinds to draw from, repeated for weight. */
  readonly kinds: readonly Call["kind"][];
}

interface Planned {
  readonly client: number;
  readonly call: Call;
  readonly start: number;
  readonly end: number;
  readonly instant: number;
  readonly unknown: boolean;
  readonly refused: boolean;
}

/** A linearizable history of one key, by start. Written values are unique integers, so that `add` meets them too. */
export function registerHistory(options: RegisterOptions): HistoryOperation[] {
  const random = new Random(options.seed);
  const plan: Planned[] = [];
  let version = 0;
  for (let client = 0; client < options.clients; client++) {
    let now = random.below(50);
    const count = Math.ceil(options.operations / options.clients);
    for (let i = 0; i < count; i++) {
      const start = now + 1 + random.below(40);
      const end = start + 1 + random.below(100);
      const unknown = random.chance(options.unknown);
      const late = random.chance(0.3) ? 2000 : 100;
      const instant = unknown ? start + random.below(late) : start + random.below(end - start + 1);
      const refused = unknown && random.chance(0.3);
      version = random.below(6);
      plan.push({
        client,
        call: drawCall(options, random, plan.length, version),
        start,
        end,
        instant,
        unknown,
        refused,
      });
      now = end;
    }
  }
  return perform(plan, random);
}

function drawCall(options: RegisterOptions, random: Random, serial: number, version: number): Call {
  const kind = options.kinds[random.below(options.kinds.length)] ?? "read";
  const value = String((serial + 1) * 100_000);
  switch (kind) {
    case "read":
    case "read-version":
    case "delete":
      return { kind };
    case "set":
    case "set-absent":
      return { kind, value };
    case "set-version":
      return { kind, value, version };
    case "add":
      return { kind, delta: 1 + random.below(2) };
  }
}

function perform(plan: readonly Planned[], random: Random): HistoryOperation[] {
  let state = NEVER_WRITTEN;
  const history: HistoryOperation[] = [];
  for (const item of [...plan].sort((a, b) => a.instant - b.instant)) {
    // A guess of a version is mostly wrong: give it the right one half of the time.
    const guess = item.call.kind === "set-version" && random.chance(0.5);
    const call = guess ? { ...item.call, version: state.value === null ? 0 : state.version } : item.call;
    const step = item.refused || (item.unknown && random.chance(0.5)) ? null : applyCall(state, call);
    if (step !== null) state = step.state;
    history.push({
      client: item.client,
      key: "k",
      call,
      start: item.start,
      end: item.end,
      told: toldOf(item, step?.reply),
    });
  }
  return history.sort((a, b) => a.start - b.start);
}

function toldOf(item: Planned, reply: Reply | undefined): Told {
  if (item.refused) return { status: "not-applied" };
  if (item.unknown) return { status: "unknown" };
  return reply === undefined ? { status: "not-applied" } : { status: "replied", reply };
}

/** The history with one lie in it; null when there is nothing to lie about. */
export function mutateHistory(history: readonly HistoryOperation[], seed: number): HistoryOperation[] | null {
  const random = new Random(seed);
  const places = history.flatMap((operation, place) => (operation.told.status === "replied" ? [place] : []));
  for (let attempt = 0; attempt < 50 && places.length > 0; attempt++) {
    const place = places[random.below(places.length)] ?? 0;
    const victim = history[place];
    const told = victim?.told;
    if (victim === undefined || told?.status !== "replied") continue;
    const reply = lie(victim.call, told.reply, history, random);
    if (reply === undefined) continue;
    return history.map((operation, at) =>
      at === place ? { ...victim, told: { status: "replied", reply } } : operation,
    );
  }
  return null;
}

function lie(call: Call, reply: Reply, history: readonly HistoryOperation[], random: Random): Reply | undefined {
  switch (call.kind) {
    case "read": {
      const other = history[random.below(history.length)]?.call;
      const value = other !== undefined && "value" in other ? other.value : null;
      return value === reply ? undefined : value;
    }
    case "read-version":
      return reply === null || typeof reply !== "object" ? undefined : [reply[0] + 1, reply[1]];
    case "add":
      return typeof reply === "number" ? reply + 1 : undefined;
    case "delete":
    case "set-absent":
      return reply === 1 ? 0 : 1;
    case "set-version":
      return typeof reply === "number" ? reply + 1 : undefined;
    case "set":
      return undefined;
  }
}
