/**
 * The wish to stop, from wherever it comes: SIGINT, SIGTERM, SIGHUP, the end of stdin, the end of the parent. The first
 * one is a wish; a second signal is an order.
 */
import { EXIT } from "./exit.js";

const SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
const PARENT_POLL_MS = 500;

export interface StopSignal {
  /** Resolves once with the reason; never rejects. */
  readonly wanted: Promise<string>;
  readonly isWanted: () => boolean;
  /** Says stop from within. */
  stop(reason: string): void;
}

/** `onSecond` is called for a signal that comes after the first. `onHangUp`: SIGHUP is no wish to stop, but this. */
export function watchStopSignals(onSecond: () => void, onHangUp?: () => void): StopSignal {
  let reason: string | undefined;
  let resolve: (reason: string) => void = () => undefined;
  const wanted = new Promise<string>((settle) => {
    resolve = settle;
  });
  const stop = (why: string): void => {
    reason ??= why;
    resolve(reason);
  };
  for (const signal of SIGNALS) {
    if (signal === "SIGHUP" && onHangUp !== undefined) {
      process.on(signal, onHangUp);
      continue;
    }
    process.on(signal, () => {
      if (reason === undefined) stop(signal);
      else onSecond();
    });
  }
  return { wanted, stop, isWanted: () => reason !== undefined };
}

/** Stops when the other end of stdin is gone: it closes even when a parent is killed with -9. */
export function stopWithStdin(signal: StopSignal): void {
  process.stdin.on("end", () => {
    signal.stop("stdin ended");
  });
  process.stdin.on("error", () => {
    signal.stop("stdin failed");
  });
  process.stdin.resume();
}

/** Stops when the parent that started this process is gone. Only for runs under npm, which may die without a word. */
export function stopWithParent(signal: StopSignal): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    signal.stop("parent ended");
  }, PARENT_POLL_MS);
  timer.unref();
}

/** Ends at once, without waiting for anything. */
export function exitNow(): void {
  process.exit(EXIT.failed);
}
