/** What INFO says per second: counters looked at once a second, their difference since the last look. */
import type { ServerCounters } from "./server-context.js";

export class Rates {
  commandsPerSecond = 0;
  inputBytesPerSecond = 0;
  outputBytesPerSecond = 0;
  #atMs = 0;
  #commands = 0;
  #inputBytes = 0;
  #outputBytes = 0;

  look(counters: ServerCounters, nowMs: number): void {
    const seconds = (nowMs - this.#atMs) / 1000;
    if (seconds <= 0) return;
    const { commands, inputBytes, outputBytes } = counters;
    // After CONFIG RESETSTAT a counter may stand lower than before.
    this.commandsPerSecond = Math.max(0, Math.round((commands - this.#commands) / seconds));
    this.inputBytesPerSecond = Math.max(0, (inputBytes - this.#inputBytes) / seconds);
    this.outputBytesPerSecond = Math.max(0, (outputBytes - this.#outputBytes) / seconds);
    this.#atMs = nowMs;
    this.#commands = commands;
    this.#inputBytes = inputBytes;
    this.#outputBytes = outputBytes;
  }
}
