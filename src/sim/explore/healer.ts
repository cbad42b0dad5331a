/**
 * From a state of the search on, the faults end for a majority: everybody else is silent, nothing is lost, time passes. Then
 * that majority must settle the key twice: a write and a read at each of its replicas end with OK, on top of everything
 * that was chosen and acknowledged. Only the replicas decide what follows, so each pair of states is healed once.
 */
import type { Effects } from "../../paxos/effects.js";
import type { Entry } from "../../paxos/entry.js";
import type { Lane } from "../../paxos/lane.js";
import type { Input } from "../../paxos/replica.js";
import { bytes } from "../soup/value-model.js";
import type { Observer, Replica, Tamper, World } from "../soup/world.js";
import { type Cores, newWorld, PATIENCE, REPLICAS, SETTLE } from "./cores.js";
import type { Chosen } from "./facts.js";
import { copyReplica, NOW } from "./replica-copy.js";

/** Within this many ticks an operation at a healed majority has ended. */
const BOUND_TICKS = SETTLE * 4 + PATIENCE * 30;
const FIRST_CLIENT = 100;

/** What a healed majority came to. */
interface Healed {
  readonly problem: string | null;
  /** Entries that were taken as chosen on the way, by index. */
  readonly chosen: ReadonlyMap<number, Entry>;
  readonly top: number;
}

/** Sees what the healing world takes as chosen and what it answers. */
class HealingNotes implements Observer {
  readonly chosen = new Map<number, Entry>();
  readonly answers = new Map<number, string>();
  problem: string | null = null;
  top = 0;

  onStep(_replica: Replica, lane: Lane, _input: Input, effects: Effects): void {
    if (effects.alarm !== null) this.problem ??= `ALARM while healing: ${effects.alarm}`;
    const { chosen } = lane.plog;
    if (chosen.index === 0) return;
    const known = this.chosen.get(chosen.index);
    if (known === undefined) this.chosen.set(chosen.index, chosen);
    else if (known.hash !== chosen.hash)
      this.problem ??= `AGREEMENT while healing: two entries at index ${String(chosen.index)}`;
  }

  onLeave(): void {
    // What may leave when is looked at in the search itself.
  }

  onDurable(): void {
    // Likewise.
  }

  onCrash(): void {
    // Nobody crashes here.
  }

  onWriteReply(
    _replica: Replica,
    _key: string,
    client: number,
    outcome: { readonly status: string; readonly index?: number },
  ): void {
    this.#answer(client, outcome);
  }

  onReadReply(
    _replica: Replica,
    _key: string,
    client: number,
    outcome: { readonly status: string; readonly index?: number },
  ): void {
    this.#answer(client, outcome);
  }

  #answer(client: number, { status, index = 0 }: { readonly status: string; readonly index?: number }): void {
    if (client < FIRST_CLIENT) return;
    this.answers.set(client, status);
    this.top = Math.max(this.top, index);
  }
}

export class Healer {
  readonly #cores: Cores;
  readonly #tamper: Tamper | undefined;
  readonly #known = new Map<string, Healed>();

  constructor(cores: Cores, tamper: Tamper | undefined) {
    this.#cores = cores;
    this.#tamper = tamper;
  }

  /** Null: every majority of voters heals this world as it must. */
  heal(states: readonly number[], chosen: Chosen, acknowledged: number): string | null {
    for (let silent = 0; silent < REPLICAS; silent++) {
      const members = states.map((state, replica) => ({ state, replica })).filter(({ replica }) => replica !== silent);
      if (members.some(({ state }) => !this.#cores.state(state).votes)) continue;
      const name = members.map(({ state, replica }) => `${String(replica)}:${String(state)}`).join(" ");
      let healed = this.#known.get(name);
      if (healed === undefined) {
        healed = this.#settle(
          members.map(({ state }) => state),
          silent,
        );
        this.#known.set(name, healed);
      }
      const problem = healed.problem ?? this.#compare(healed, chosen, acknowledged);
      if (problem !== null) return `${problem} (replica ${String(silent)} is silent)`;
    }
    return null;
  }

  #compare(healed: Healed, chosen: Chosen, acknowledged: number): string | null {
    for (const entry of chosen) {
      if (entry === undefined || entry.index === 0) continue;
      const other = healed.chosen.get(entry.index);
      if (other !== undefined && other.hash !== entry.hash)
        return `AGREEMENT: healing replaces the entry at index ${String(entry.index)}`;
    }
    const newest = chosen.reduce((most, entry) => Math.max(most, entry?.index ?? 0), 0);
    if (healed.top <= Math.max(acknowledged, newest))
      return `LOST: index ${String(Math.max(acknowledged, newest))} is not there after healing`;
    return null;
  }

  #settle(states: readonly number[], silent: number): Healed {
    const notes = new HealingNotes();
    const world = newWorld(notes, this.#tamper);
    world.tick = NOW;
    world.travelTicks = 1;
    const members = states.map((state) => copyReplica(this.#cores.state(state).replica));
    for (const member of members) world.replicas[member.id] = member;
    for (const member of members) {
      for (const other of members) {
        if (other !== member) world.bind(member, other.id, other.context.incarnation);
        member.context.suspected[other.id] = false;
      }
      member.context.suspected[silent] = true;
      world.laneOf(member, this.#cores.key);
    }
    const problem = this.#serve(world, members, notes, silent);
    return { problem: notes.problem ?? problem, chosen: notes.chosen, top: notes.top };
  }

  #serve(world: World, members: readonly Replica[], notes: HealingNotes, silent: number): string | null {
    const { key } = this.#cores;
    try {
      for (const member of members) world.input(member, key, { type: "tick" });
      let client = FIRST_CLIENT;
      for (const kind of ["write", "read"] as const) {
        for (const member of members) {
          client++;
          const deadlineTick = world.tick + BOUND_TICKS;
          const request = { replica: member.id, incarnation: member.context.incarnation, counter: client };
          const operation = {
            kind: "set",
            value: bytes("h"),
            expiryMs: 0,
            condition: { kind: "none" },
            returnOld: false,
          } as const;
          const input: Input =
            kind === "read"
              ? { type: "read", client, deadlineTick }
              : { type: "write", client, request, operation, deadlineTick };
          world.input(member, key, input);
          this.#run(world, silent, () => notes.answers.has(client));
          const answer = notes.answers.get(client) ?? "nothing";
          if (answer !== "ok")
            return `STUCK: a ${kind} at replica ${String(member.id)} of a healed majority gets ${answer}`;
        }
      }
    } catch (error) {
      return error instanceof Error ? `${error.name} while healing: ${error.message}` : String(error);
    }
    return null;
  }

  #run(world: World, silent: number, done: () => boolean): void {
    const end = world.tick + BOUND_TICKS + 2;
    while (!done() && world.tick < end) {
      const ready = world.wire.filter((flight) => flight.readyTick <= world.tick);
      world.wire = world.wire.filter((flight) => flight.readyTick > world.tick && flight.to !== silent);
      for (const flight of ready) if (flight.to !== silent) world.deliver(flight);
      for (const replica of world.replicas) if (replica.id !== silent && replica.queue.length > 0) world.flush(replica);
      world.passTick();
    }
  }
}
