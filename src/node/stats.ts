/** Counters of a node since its process started, in one plain object that the turn loop adds to. */
import type { Message } from "../paxos/message.js";

export class Counters {
  writes = 0;
  reads = 0;
  writesOk = 0;
  writesUnknown = 0;
  writesNotApplied = 0;
  records = 0;
  messagesSent = 0;
  framesSent = 0;
  framesDropped = 0;
  forwards = 0;
  submittedRounds = 0;
  catchUps = 0;
  alarms = 0;

  /** A message to another replica. Accepts and prepares go to all others, so a round counts once by its replicas. */
  count(message: Message): void {
    switch (message.type) {
      case "forward":
        this.forwards++;
        return;
      case "submit":
        this.submittedRounds++;
        return;
      case "learn":
        this.catchUps++;
        return;
      case "prepare":
        this.#prepares++;
        return;
      case "accept":
        if (message.ballot.counter === 0) this.#zeroAccepts++;
        return;
      default:
    }
  }

  #prepares = 0;
  #zeroAccepts = 0;

  /** Rounds from messages: each went to `others` replicas. */
  rounds(others: number): { readonly fast: number; readonly twoPhase: number } {
    const each = Math.max(1, others);
    return { fast: Math.round(this.#zeroAccepts / each), twoPhase: Math.round(this.#prepares / each) };
  }
}
