/**
 * What all connections of one server share: the node, the limits, the counters, the writer, and the list of those that
 * have something to send. Created once per server; commands read it, connections keep it up to date.
 */
import { Random } from "../base/random.js";
import type { ServerConfig } from "../cluster/index.js";
import type { KeyService } from "../node/service.js";
import { Admission } from "./admission.js";
import { ChangeFeed } from "./change-feed.js";
import { Routing } from "./cluster-view.js";
import type { Client } from "./client.js";
import type { CommandTable } from "./command-table.js";
import { Histogram } from "./histogram.js";
import { HotKeys } from "./hot-keys.js";
import { InputShare } from "./input-share.js";
import { LatencyEvents } from "./latency-events.js";
import type { MapKeeper } from "./map-keeper.js";
import type { ServerLimits } from "./limits.js";
import { Rates } from "./rates.js";
import { ReplyWriter } from "./reply-writer.js";
import { Settings } from "./settings.js";
import { SlowLog } from "./slow-log.js";
import { Users } from "./users.js";

/** A connection as the server's own rounds see it. */
export interface Flushable {
  /** Writes what is finished, goes on with what was held up. */
  flush(): void;
}

/** Counters since the start; INFO and /metrics show them. */
export class ServerCounters {
  connections = 0;
  rejectedConnections = 0;
  failedHandshakes = 0;
  commands = 0;
  busy = 0;
  inputBytes = 0;
  outputBytes = 0;
  readHits = 0;
  readMisses = 0;
  protocolErrors = 0;
  outputOverruns = 0;
  timedOut = 0;
  monitorLinesDropped = 0;
  notificationsMissed = 0;

  /** CONFIG RESETSTAT. */
  reset(): void {
    Object.assign(this, new ServerCounters());
  }
}

export class ServerContext {
  readonly config: ServerConfig;
  readonly limits: ServerLimits;
  readonly commands: CommandTable;
  readonly counters = new ServerCounters();
  readonly readLatency = new Histogram();
  readonly writeLatency = new Histogram();
  readonly settings: Settings;
  readonly users: Users;
  readonly rates = new Rates();
  readonly hotKeys = new HotKeys(new Random(Math.floor(Math.random() * 0x1_0000_0000)));
  readonly slowLog = new SlowLog();
  readonly latencyEvents = new LatencyEvents();
  /** Every open connection, in the order they came. */
  readonly clients = new Set<Client>();
  /** Of these, the ones that said MONITOR. */
  readonly monitors = new Set<Client>();
  /** What SHUTDOWN asks for; the server puts it here. */
  shutdown: () => void = () => undefined;
  /** For the connection whose turn it is. */
  readonly out = new ReplyWriter();
  /** For replies that have to wait for earlier ones. */
  readonly scratch = new ReplyWriter();
  readonly startedAtMs = Date.now();
  /** Null until recovery is done: then commands that need the data are answered -LOADING. */
  service: KeyService | null = null;
  /** Null until then too. */
  map: MapKeeper | null = null;
  /** The port that is really listened on. */
  port = 0;
  /** Operations at the node, over all connections. */
  readonly admission: Admission;
  readonly routing: Routing;
  readonly feed: ChangeFeed;
  readonly inputShare = new InputShare(() => this.nowUs());
  /** Bytes of their values. */
  inFlightBytes = 0;
  /** Bytes of commands that wait for EXEC. */
  queuedBytes = 0;
  /** Bytes of commands that are not complete yet. */
  partialBytes = 0;
  /** Rises with every batch of input. */
  turn = 0;
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #scheduled = false;

  constructor(config: ServerConfig, limits: ServerLimits, commands: CommandTable) {
    this.config = config;
    this.limits = limits;
    this.commands = commands;
    this.settings = new Settings(limits);
    this.users = new Users(config.users);
    this.routing = new Routing(this);
    this.feed = new ChangeFeed({
      scratch: this.scratch,
      onMissed: () => {
        this.counters.notificationsMissed++;
      },
    });
    this.admission = new Admission(limits.maxInFlight, config.timeouts.requestMs);
  }

  /** Microseconds on a clock that never jumps. */
  nowUs(): number {
    return Math.round(performance.now() * 1000);
  }

  /** The connection is flushed once, right after the present callback; one tick for all that came back together. */
  schedule(connection: Flushable): void {
    this.#dirty.push(connection);
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.#flushAll);
  }

  readonly #flushAll = (): void => {
    this.#scheduled = false;
    const ready = this.#dirty;
    this.#dirty = this.#spare;
    this.#spare = ready;
    for (const connection of ready) connection.flush();
    ready.length = 0;
  };
}
