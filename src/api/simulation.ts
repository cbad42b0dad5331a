/**
 * `plogdb/sim`: a whole cluster in your test, in one process and on virtual time. The code of the nodes is the real one;
 * network, disks, clocks and processes are simulated, and everything that is left to chance comes from one seed: a run
 * that failed fails again. Nodes are the same PlogNode objects that openNode gives, so an application that takes one
 * can be tested as it is. Not simulated: the application itself; a scenario that waits for real timers, files or sockets
 * is a different one each time.
 */
import { Random } from "../base/random.js";
import { type ClusterWatch, QUIET, SimulatedCluster } from "../sim/cluster.js";
import { LastingService } from "../sim/lasting-service.js";
import { wallMsAt } from "../sim/virtual-time.js";
import { Weather, WEATHER_KINDS, type WeatherKind } from "../sim/weather.js";
import { PlogNode } from "./node.js";

export { PlogError, type PlogErrorCode, type WriteDoubt } from "./errors.js";
export type { Bytes, PlogNode, SetOptions, Versioned } from "./node.js";
export { WEATHER_KINDS, type WeatherKind };

export interface SimulationOptions {
  /** Everything that happens is drawn from it: 0 to 2^32 - 1. Default: 1. */
  readonly seed?: number;
  /** Default: 3. */
  readonly replicas?: 3 | 5;
  /** A request is decided within this time or ends with an error, ms. Default: 3000. */
  readonly requestMs?: number;
  /** Least and most time that a message takes between nodes, microseconds. Default: 50 to 150. */
  readonly networkUs?: readonly [number, number];
  /** Least and most time of a durable write, microseconds. Default: 80 to 200. */
  readonly diskUs?: readonly [number, number];
  /** Wall clocks are off by up to this, ms. Default: 0. */
  readonly clockSkewMs?: number;
  /** What happens by itself while the scenario runs; [] = nothing. Default: everything there is. */
  readonly faults?: readonly WeatherKind[];
  /** Something happens this often on average, in ms of virtual time. Default: 500. */
  readonly faultEveryMs?: number;
  /** A scenario that has not ended after this much virtual time is stuck, ms. Default: an hour. */
  readonly limitMs?: number;
}

export interface SimulationReport<T> {
  readonly result: T;
  /** Virtual time that passed, ms. */
  readonly ms: number;
  /** How often each fault struck by itself. */
  readonly faults: Readonly<Partial<Record<WeatherKind, number>>>;
  /** Of everything that happened: the same for the same seed, scenario and version. */
  readonly traceHash: string;
}

const DEFAULT_SEED = 1;
const FAULT_EVERY_MS = 500;
const LIMIT_MS = 3_600_000;
const START_MS = 10_000;
/** Virtual time never runs further than this before the scenario's promises had their turn. */
const SLICE_MS = 50;

/** What a scenario has in hand. */
export class Simulation {
  readonly #cluster: SimulatedCluster;
  readonly #weather: Weather | null;
  readonly #random: Random;
  readonly #services: readonly LastingService[];
  #isAwaited = false;
  /** n1, n2, ...: what openNode would have given. A node that is down refuses with LOADING. */
  readonly nodes: readonly PlogNode[];

  /** Use `simulate`. */
  constructor(options: SimulationOptions) {
    const { seed = DEFAULT_SEED, replicas = QUIET.replicas, requestMs = QUIET.requestMs, clockSkewMs = 0 } = options;
    const { leastDelayUs, mostDelayUs } = QUIET.network;
    const [leastNetworkUs, mostNetworkUs] = options.networkUs ?? [leastDelayUs, mostDelayUs];
    const [leastFlushUs, mostFlushUs] = options.diskUs ?? [QUIET.leastFlushUs, QUIET.mostFlushUs];
    this.#random = new Random(seed ^ 0x73696d);
    this.#cluster = new SimulatedCluster({
      ...QUIET,
      seed,
      replicas,
      requestMs,
      network: { ...QUIET.network, leastDelayUs: leastNetworkUs, mostDelayUs: mostNetworkUs },
      leastFlushUs,
      mostFlushUs,
      wallSkewMs: clockSkewMs,
      watch: {
        ...NOTHING,
        onKilled: (replica) => this.#services[replica]?.lose(),
      },
    });
    const { faults = WEATHER_KINDS, faultEveryMs = FAULT_EVERY_MS } = options;
    const weatherRandom = new Random(seed ^ 0x77656174);
    this.#weather = faults.length === 0 ? null : new Weather(this.#cluster, weatherRandom, faults, faultEveryMs);
    const wake = (): void => {
      this.#isAwaited = true;
    };
    this.#services = this.#cluster.disks.map((_, replica) => new LastingService(this.#cluster, replica, wake));
    this.nodes = this.#services.map((service) => new PlogNode(runningOf(service), MAX_VALUE_BYTES));
  }

  /** Virtual wall clock, ms since 1970: use it in place of Date.now. */
  now(): number {
    return wallMsAt(this.#cluster.time.nowUs);
  }

  /** Resolves after so much virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#cluster.time.after(ms * 1000, () => {
        this.#isAwaited = true;
        resolve();
      });
    });
  }

  /** A whole number from 0 below `bound`, from the seed: use it in place of Math.random. */
  random(bound: number): number {
    return this.#random.below(bound);
  }

  /** The process of nodes[index] dies at once; what it had not made durable is lost. */
  kill(index: number): void {
    this.#cluster.kill(index);
  }

  /** Starts it again on its disk. Nothing when it runs. */
  start(index: number): void {
    if (!this.#cluster.isUp(index)) this.#cluster.start(index);
  }

  /** Messages from nodes[from] to nodes[to] are lost until `heal`. */
  cut(from: number, to: number): void {
    this.#cluster.network.cut(from, to);
  }

  heal(): void {
    this.#cluster.network.heal();
  }

  isRunning(index: number): boolean {
    return this.#cluster.isUp(index);
  }

  /** From now on nothing happens by itself; what is broken is mended, and every node runs and serves. */
  async calm(): Promise<void> {
    this.#weather?.end();
    this.#cluster.network.heal();
    this.#cluster.startAll();
    for (let waited = 0; waited < START_MS; waited += SLICE_MS) {
      if (this.nodes.every((_, index) => this.#cluster.node(index) !== null)) return;
      await this.sleep(SLICE_MS);
    }
    throw new Error(`not every node serves ${START_MS} ms after everything was mended`);
  }

  /** Starts the cluster, then lives the scenario. */
  async live<T>(scenario: (simulation: Simulation) => Promise<T>, limitMs: number): Promise<SimulationReport<T>> {
    try {
      return await this.#live(scenario, limitMs);
    } finally {
      this.#cluster.end();
    }
  }

  async #live<T>(scenario: (simulation: Simulation) => Promise<T>, limitMs: number): Promise<SimulationReport<T>> {
    this.#cluster.startAll();
    if (!this.#cluster.runUntilServing(START_MS)) throw new Error("the simulated cluster did not start");
    for (const service of this.#services) service.stats(); // remembered from now on
    const { time } = this.#cluster;
    const beganUs = time.nowUs;
    this.#weather?.begin();
    let isRunning = true;
    const ended = scenario(this).finally(() => {
      isRunning = false;
    });
    ended.catch(() => undefined); // whoever awaits it below is told; meanwhile it is not an unhandled one
    while (isRunning) {
      await everyPromise();
      // A callback may have ended the scenario meanwhile: the compiler sees only the assignment above.
      if (!(isRunning as boolean)) break;
      if (time.nowUs - beganUs > limitMs * 1000) {
        throw new Error(`the scenario did not end within ${limitMs} ms of virtual time: what does it wait for?`);
      }
      this.#isAwaited = false;
      time.runUntil(time.nowUs + SLICE_MS * 1000, () => this.#isAwaited);
    }
    this.#weather?.end();
    const ms = (time.nowUs - beganUs) / 1000;
    return { result: await ended, ms, faults: this.#weather?.counts ?? {}, traceHash: this.#cluster.trace.hash() };
  }
}

const NOTHING: ClusterWatch = {
  onPut: () => undefined,
  onMark: () => undefined,
  onSubmit: () => undefined,
  onDurable: () => undefined,
  onDamaged: () => undefined,
  onStarted: () => undefined,
  onKilled: () => undefined,
  onFatal: () => undefined,
  onAlarm: () => undefined,
};

/** Every promise that can go on has gone on when this one has. */
function everyPromise(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

const MAX_VALUE_BYTES = 1 << 20;
/** A year. */
const MOST_MS = 365 * 86_400_000;

function runningOf(service: LastingService) {
  return { service, failed: new Promise<never>(() => undefined), close: () => Promise.resolve() };
}

/**
 * Runs `scenario` against a simulated cluster. Rejects with what the scenario rejects with, and when it does not end within
 * `limitMs` of virtual time.
 */
export function simulate<T>(
  options: SimulationOptions,
  scenario: (simulation: Simulation) => Promise<T>,
): Promise<SimulationReport<T>> {
  checkOptions(options);
  return new Simulation(options).live(scenario, options.limitMs ?? LIMIT_MS);
}

function checkOptions(options: SimulationOptions): void {
  const { seed, faults, replicas, networkUs, diskUs, faultEveryMs } = options;
  const refuse = (why: string): never => {
    throw new RangeError(`simulate: ${why}`);
  };
  if (seed !== undefined && (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff)) {
    refuse("seed is a whole number from 0 to 2^32 - 1");
  }
  if (replicas !== undefined && ![3, 5].includes(replicas)) refuse("replicas is 3 or 5");
  for (const kind of faults ?? []) {
    if (!WEATHER_KINDS.includes(kind))
      refuse(`there is no fault ${JSON.stringify(kind)}; one of ${WEATHER_KINDS.join(", ")}`);
  }
  for (const [least, most] of [networkUs ?? [1, 1], diskUs ?? [1, 1]]) {
    if (!(least > 0 && least <= most && most <= 60_000_000)) refuse("a time goes from least to most, in microseconds");
  }
  for (const name of ["requestMs", "limitMs", "clockSkewMs"] as const) {
    const value = options[name];
    const least = name === "clockSkewMs" ? 0 : 1;
    if (value !== undefined && !(value >= least && value <= MOST_MS)) {
      refuse(`${name} goes from ${least} to ${MOST_MS}, in milliseconds`);
    }
  }
  if (faultEveryMs !== undefined && !(faultEveryMs >= 1)) refuse("faultEveryMs is at least 1");
}
