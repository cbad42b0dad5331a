/**
 * The random walk: real cores, a soup of messages, crashes, doubts and clients, all from one seed; then a healing phase
 * in which everything must end, everybody must serve and every lane must come to rest. The seed picks which faults are
 * in play and how often, so that some walks are calm and others are storms. The oracle says what is wrong.
 */
import { userKey, type Key } from "../../base/key.js";
import { Random } from "../../base/random.js";
import { isIdle } from "../../paxos/lane.js";
import type { Operation } from "../../paxos/operation.js";
import type { Input } from "../../paxos/replica.js";
import { checkHistory, describeFailures } from "../linearizability.js";
import { Oracle, Violation } from "./oracle.js";
import { renderInput, renderOperation, renderRead, renderRecord, renderWrite, renderMessage } from "./render.js";
import { bytes } from "./value-model.js";
import { type Flight, type Observer, type Replica, type Tamper, World } from "./world.js";

export interface WalkOptions {
  readonly seed: number;
  readonly replicas: number;
  readonly tamper?: Tamper;
  readonly trace?: boolean;
  /** Off: the oracle does not look at messages that leave too early (for variants that do just that). */
  readonly checksLeaving?: boolean;
  /** What clients ask for instead of the usual mixture, where not only plain sets are asked for; null = a read. */
  readonly operation?: (random: Random, wallMs: number) => Operation | null;
}

export interface WalkResult {
  /** Null: nothing wrong was found. */
  readonly violation: string | null;
  readonly trace: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly steps: number;
  /** Ticks and messages of the healing phase's parts. */
  readonly freshTicks: number;
  readonly restTicks: number;
}

/** What the seed puts into play. */
interface Profile {
  readonly keys: readonly Key[];
  readonly clients: number;
  readonly actions: number;
  readonly loss: number;
  readonly duplication: number;
  /** How far down the soup a delivery may reach. */
  readonly reach: number;
  readonly weights: readonly (readonly [Action, number])[];
  readonly longestDeadline: number;
  readonly plain: boolean;
}

type Action =
  | "deliver"
  | "flush"
  | "tick"
  | "invoke"
  | "crash"
  | "isolate"
  | "suspect"
  | "drop"
  | "full"
  | "learner"
  | "skew";

const PATIENCE = 6;
const SETTLE = 40;
/** After the faults: a fresh operation takes at most this many ticks, and all lanes rest after at most that many more. */
export const FRESH_TICKS = PATIENCE * 30;
export const REST_TICKS = SETTLE * 8;
const MAX_HEAL_MESSAGES = 20_000;

function pickFrom<T>(random: Random, items: readonly T[]): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

function makeProfile(random: Random): Profile {
  const keys = random.chance(0.75)
    ? [userKey(pickFrom(random, ["a", "b", "c", "d", "e"]))]
    : [userKey("x"), userKey("y")];
  return {
    keys,
    clients: 2 + random.below(6),
    actions: 150 + random.below(450),
    loss: pickFrom(random, [0, 0, 0.03, 0.15, 0.4]),
    duplication: pickFrom(random, [0, 0, 0.1, 0.4]),
    reach: pickFrom(random, [1, 3, 1000, 1000]),
    weights: [
      ["deliver", 60],
      ["flush", pickFrom(random, [6, 15, 30, 60])],
      ["tick", pickFrom(random, [1, 5, 15, 40])],
      ["invoke", pickFrom(random, [3, 10, 30])],
      ["crash", pickFrom(random, [0, 0.3, 1, 4])],
      ["isolate", pickFrom(random, [0, 0, 1])],
      ["suspect", pickFrom(random, [0, 1, 4])],
      ["drop", pickFrom(random, [0, 3])],
      ["full", pickFrom(random, [0, 0, 0, 0.5])],
      ["learner", pickFrom(random, [0, 0, 0, 0, 0.5])],
      ["skew", pickFrom(random, [0, 1])],
    ],
    longestDeadline: pickFrom(random, [30, 100, 400]),
    plain: random.chance(0.2),
  };
}

class Walk {
  readonly random: Random;
  readonly oracle: Oracle;
  readonly world: World;
  readonly profile: Profile;
  readonly lines: string[] = [];
  readonly busy = new Map<number, number>();
  readonly isolated = new Set<number>();
  readonly options: WalkOptions;
  #nextToken = 1;
  freshTicks = 0;
  restTicks = 0;

  constructor(options: WalkOptions) {
    this.options = options;
    this.random = new Random(options.seed * 2_654_435 + options.replicas);
    this.profile = makeProfile(this.random);
    this.oracle = new Oracle(options.replicas);
    this.oracle.checksLeaving = options.checksLeaving ?? true;
    this.world = new World({
      replicas: options.replicas,
      seed: options.seed,
      patienceTicks: PATIENCE,
      settleTicks: SETTLE,
      observer: options.trace === true ? this.#tracing(this.oracle) : this.oracle,
      ...(options.tamper === undefined ? {} : { tamper: options.tamper }),
    });
    this.oracle.tickOf = () => this.world.tick;
  }

  say(line: string): void {
    if (this.options.trace === true) this.lines.push(`t${String(this.world.tick)} ${line}`);
  }

  #tracing(oracle: Oracle): Observer {
    const at = (replica: Replica): string => `${String(replica.id)}.${String(replica.context.incarnation)}`;
    return {
      onStep: (replica, lane, input, effects) => {
        this.say(`${at(replica)} ${lane.key.slice(1)} <- ${renderInput(input)}`);
        for (const write of effects.persist) this.say(`      ${renderRecord(write)}`);
        if (effects.mark > 0) this.say(`      mark ${String(effects.mark)}`);
        oracle.onStep(replica, lane, input, effects);
      },
      onLeave: (replica, lane, envelope) => {
        this.say(`      ${at(replica)} -> ${String(envelope.to)}: ${renderMessage(envelope.message)}`);
        oracle.onLeave(replica, lane, envelope);
      },
      onDurable: (replica, batch) => {
        this.say(
          `${at(replica)} durable: ${batch.writes.map(renderRecord).join("; ")}${batch.mark > 0 ? ` mark ${String(batch.mark)}` : ""}`,
        );
        oracle.onDurable(replica, batch);
      },
      onCrash: (replica) => {
        this.say(`${at(replica)} RESTARTED`);
        oracle.onCrash(replica);
      },
      onWriteReply: (replica, key, client, outcome) => {
        this.say(`      client ${String(client)}: ${renderWrite(outcome)}`);
        oracle.onWriteReply(replica, key, client, outcome);
      },
      onReadReply: (replica, key, client, outcome) => {
        this.say(`      client ${String(client)}: ${renderRead(outcome)}`);
        oracle.onReadReply(replica, key, client, outcome);
      },
    };
  }

  // ---- the storm

  storm(): void {
    const { weights, actions } = this.profile;
    const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (let i = 0; i < actions; i++) {
      let point = (this.random.below(1_000_000) / 1_000_000) * total;
      for (const [action, weight] of weights) {
        point -= weight;
        if (point < 0) {
          this.act(action);
          break;
        }
      }
    }
  }

  act(action: Action): void {
    const { random, world } = this;
    const replica = world.replica(random.below(world.replicas.length));
    switch (action) {
      case "deliver":
        this.deliverOne();
        return;
      case "flush":
        if (replica.queue.length > 0) world.flush(replica, 1 + random.below(replica.queue.length));
        return;
      case "tick":
        world.passTick();
        return;
      case "invoke":
        this.invoke(replica);
        return;
      case "crash":
        this.crash(replica);
        return;
      case "isolate":
        if (!this.isolated.delete(replica.id) && random.chance(0.3)) this.isolated.add(replica.id);
        this.say(`isolated: ${[...this.isolated].join(" ")}`);
        return;
      case "suspect": {
        const peer = random.below(world.replicas.length);
        this.say(`${String(replica.id)} suspects ${String(peer)} or not`);
        world.setSuspected(replica, peer, random.chance(0.5));
        return;
      }
      case "drop":
        if (world.dropIdle(replica) > 0) this.say(`${String(replica.id)} drops its idle lanes`);
        return;
      case "full":
        replica.context.diskFull = random.chance(0.4);
        replica.context.roomReturns = replica.context.diskFull && random.chance(0.5);
        return;
      case "learner":
        replica.context.mayVote = random.chance(0.6);
        this.say(`${String(replica.id)} may vote: ${String(replica.context.mayVote)}`);
        return;
      case "skew":
        replica.skewMs = random.below(80) - 40;
        return;
    }
  }

  deliverOne(): void {
    const { random, world, profile } = this;
    if (world.wire.length === 0) return;
    const at = random.below(Math.min(profile.reach, world.wire.length));
    const flight = world.wire[at];
    if (flight === undefined) return;
    if (random.chance(profile.duplication)) this.say("(the next one stays in the soup)");
    else world.wire.splice(at, 1);
    if (world.wire.length > 400) world.wire.splice(0, 100);
    this.#arrive(flight, profile.loss);
  }

  #arrive(flight: Flight, loss: number): void {
    const cut = this.isolated.has(flight.from) || this.isolated.has(flight.to);
    if (cut || this.random.chance(loss)) return;
    this.world.deliver(flight);
  }

  crash(replica: Replica): void {
    const { random, world } = this;
    const all = random.chance(0.1) ? world.replicas : [replica];
    for (const one of all) {
      world.crash(one, random.below(one.queue.length + 1), random.chance(0.5));
      if (random.chance(0.7)) world.introduce(one);
    }
  }

  invoke(replica: Replica): void {
    const { random, profile } = this;
    const key = pickFrom(random, profile.keys);
    const inputs: Input[] = [];
    const many = random.chance(0.2) ? 1 + random.below(4) : 1;
    for (let i = 0; i < many; i++) {
      const client = random.below(profile.clients);
      const token = this.busy.get(client);
      if (token !== undefined && this.oracle.operations.get(token)?.status === "running") continue;
      inputs.push(this.newInput(replica, key, client, this.someOperation(), 5 + random.below(profile.longestDeadline)));
    }
    if (inputs.length > 0) this.world.input(replica, key, ...inputs);
  }

  newInput(replica: Replica, key: Key, client: number, operation: Operation | null, ticks: number): Input {
    const token = this.#nextToken++;
    const { context } = replica;
    const deadlineTick = this.world.tick + ticks;
    context.lastRequest++;
    const request = { replica: replica.id, incarnation: context.incarnation, counter: context.lastRequest };
    const low = this.oracle.factsOf(key).acked;
    const invokedTick = this.world.tick;
    this.oracle.begin({
      client: token,
      key,
      replica: replica.id,
      operation,
      request,
      deadlineTick,
      invokedTick,
      low,
      status: "running",
    });
    this.busy.set(client, token);
    this.say(
      `client ${String(token)} at ${String(replica.id)}: ${renderOperation(operation)} (by ${String(deadlineTick)})`,
    );
    if (operation === null) return { type: "read", client: token, deadlineTick };
    return { type: "write", client: token, request, operation, deadlineTick };
  }

  someOperation(): Operation | null {
    const { random, profile } = this;
    const value = bytes(String(random.below(100)));
    const plain = { kind: "none" } as const;
    if (profile.plain) {
      return random.chance(0.4) ? null : { kind: "set", value, expiryMs: 0, condition: plain, returnOld: false };
    }
    const wall = 1_000_000 + this.world.tick;
    if (this.options.operation !== undefined) return this.options.operation(random, wall);
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
        return null;
      case 3:
        return {
          kind: "set",
          value,
          expiryMs: wall + random.below(60) - 10,
          condition: plain,
          returnOld: random.chance(0.5),
        };
      case 4:
        return { kind: "set", value, expiryMs: 0, condition: { kind: "absent" }, returnOld: random.chance(0.5) };
      case 5:
        return { kind: "set", value, expiryMs: -1, condition: { kind: "present" }, returnOld: false };
      case 6:
      case 7: {
        const version = random.chance(0.2) ? 0 : this.#likelyVersion();
        return { kind: "set", value, expiryMs: 0, condition: { kind: "version", version }, returnOld: false };
      }
      case 8:
        return { kind: "delete" };
      case 9:
      case 10:
        return { kind: "add", delta: String(random.below(20) - 5) };
      case 11:
        return { kind: "append", value: bytes("z"), maxBytes: 12 };
      case 12:
        return random.chance(0.5) ? { kind: "persist" } : { kind: "expire", expiryMs: wall + random.below(60) - 10 };
      default:
        return { kind: "set", value, expiryMs: 0, condition: plain, returnOld: false };
    }
  }

  #likelyVersion(): number {
    let version = 0;
    for (const key of this.profile.keys) {
      for (const { entry } of this.oracle.factsOf(key).chosen.values()) version = Math.max(version, entry.version);
    }
    return version;
  }

  // ---- the calm

  heal(): void {
    const { world } = this;
    this.say("---- healing");
    this.isolated.clear();
    for (const replica of world.replicas) {
      replica.context.diskFull = false;
      replica.context.roomReturns = false;
      replica.context.mayVote = true;
      world.introduce(replica);
      for (const peer of world.replicas) replica.context.suspected[peer.id] = false;
    }
    world.travelTicks = 1;
    const before = world.sent;
    const running = (): boolean => [...this.oracle.operations.values()].some((one) => one.status === "running");
    this.#runUntil(() => !running(), 1000, "an operation never ends");
    this.#fresh(running);
    this.#rest();
    if (world.sent - before > MAX_HEAL_MESSAGES)
      throw new Violation(`LOOP: ${String(world.sent - before)} messages while healing`);
  }

  /**
   * Every replica answers a read and then a write with OK in time. The read comes first: a replica that is more indexes
   * behind than the list of requests reaches may have to say UNKNOWN of a write (P14).
   */
  #fresh(running: () => boolean): void {
    const { world, profile } = this;
    const first = this.#nextToken;
    const start = world.tick;
    for (const kind of ["read", "write"] as const) {
      for (const replica of world.replicas) {
        for (const key of profile.keys) {
          const value = bytes(`f${String(replica.id)}`);
          const set: Operation = { kind: "set", value, expiryMs: 0, condition: { kind: "none" }, returnOld: false };
          world.input(replica, key, this.newInput(replica, key, -1, kind === "read" ? null : set, FRESH_TICKS));
        }
      }
      this.#runUntil(() => !running(), FRESH_TICKS + 2, `a fresh ${kind} never ends`);
    }
    this.freshTicks = world.tick - start;
    for (let token = first; token < this.#nextToken; token++) {
      const operation = this.oracle.operations.get(token);
      if (operation !== undefined && operation.status !== "ok") {
        throw new Violation(`LIVENESS: after the faults client ${String(token)} gets ${operation.status}`);
      }
    }
  }

  #rest(): void {
    const { world } = this;
    const start = world.tick;
    const busy = (): boolean =>
      world.replicas.some((replica) => [...replica.lanes.values()].some((lane) => !isIdle(lane)));
    this.#runUntil(() => !busy() && world.wire.length === 0, REST_TICKS, "a lane never comes to rest");
    this.restTicks = world.tick - start;
    for (const replica of world.replicas) world.dropIdle(replica);
    for (const replica of world.replicas) {
      if (replica.lanes.size > 0) throw new Violation("an idle lane was not dropped");
    }
  }

  #runUntil(done: () => boolean, ticks: number, otherwise: string): void {
    const { world } = this;
    const end = world.tick + ticks;
    while (!done()) {
      if (world.tick >= end) throw new Violation(`LIVENESS: ${otherwise}${this.#whoWaits()}`);
      const ready = world.wire.filter((flight) => flight.readyTick <= world.tick);
      world.wire = world.wire.filter((flight) => flight.readyTick > world.tick);
      for (const flight of ready) world.deliver(flight);
      for (const replica of world.replicas) if (replica.queue.length > 0) world.flush(replica);
      const quiet = world.wire.length === 0 && world.replicas.every((replica) => replica.queue.length === 0);
      if (quiet && world.nextWake() === 0 && !done()) {
        throw new Violation(`STUCK: ${otherwise}, no message is on its way and no lane has a wish${this.#whoWaits()}`);
      }
      world.passTick();
    }
  }

  #whoWaits(): string {
    let out = "";
    for (const replica of this.world.replicas) {
      for (const [key, lane] of replica.lanes) {
        if (isIdle(lane)) continue;
        const { round, read, plog } = lane;
        out += `; replica ${String(replica.id)} ${key.slice(1)}: chosen ${String(plog.chosen.index)}, accepted ${String(plog.accepted.counter)}, ops ${String(lane.operations.length)}, forwarded ${String(lane.forwarded.length)}, round ${round?.phase ?? "none"}, read ${String(read !== null)}, expired ${String(lane.expiredReads.length)}, settle ${String(lane.settleIndex)}, wake ${String(replica.wakes.get(key) ?? 0)}`;
      }
    }
    return out;
  }
}

export function runWalk(options: WalkOptions): WalkResult {
  const walk = new Walk(options);
  let violation: string | null = null;
  try {
    walk.storm();
    walk.heal();
    // Where all operations are reads and plain sets, the general checker is asked too: it sees values and times only.
    if (walk.profile.plain) {
      const wrong = checkHistory(walk.oracle.history()).filter(({ verdict }) => verdict === "not-linearizable");
      if (wrong.length > 0) violation = `NOT LINEARIZABLE: ${describeFailures(wrong)}`;
    }
  } catch (error) {
    violation =
      error instanceof Violation ? error.message : String(error instanceof Error ? (error.stack ?? error) : error);
  }
  return {
    violation,
    trace: walk.lines,
    counts: walk.oracle.counts,
    steps: walk.world.steps,
    freshTicks: walk.freshTicks,
    restTicks: walk.restTicks,
  };
}
