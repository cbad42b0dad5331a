/** What CONFIG SET may change while the server runs. Nothing of it is kept over a restart. */
import type { ServerLimits } from "./limits.js";

/** As Redis: commands from here on are slow. */
const SLOWER_THAN_US = 10_000;
const SLOW_LOG_ENTRIES = 128;

export class Settings {
  /** Infinite = none is slow. */
  slowerThanUs = SLOWER_THAN_US;
  slowLogEntries = SLOW_LOG_ENTRIES;
  /** 0 = slow moments are not noted. */
  latencyThresholdMs = 0;
  /** As it was set: which changes subscribers are told of. */
  notifyEvents = "";
  /** A connection without any command is closed after this; 0 = never. */
  idleSeconds: number;

  constructor(limits: ServerLimits) {
    this.idleSeconds = Math.floor(limits.idleMs / 1000);
  }
}
