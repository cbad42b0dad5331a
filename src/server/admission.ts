/**
 * How many operations may be at the node at once. A fixed bound is a queue of fixed length, and at a node that is slower than its
 * clients a long queue is a wait past every deadline: all work is done in vain. So when a wait is too long the bound follows
 * what the node gets done: as many operations as it answered of late in the time that a request may wait for its turn (Little's
 * law); what is beyond is refused at once. More work at once may be done quicker (one flush for many writes), so the
 * bound rises as soon as it pays.
 */

/** Of the time in which a request is decided or answered with an error, this part may be spent in the queue. */
const QUEUE_SHARE = 1 / 30;
/** The bound is never lower: so much is asked of a node that answers nothing, too. */
const LEAST = 256;
/** The bound while no wait is too long. */
const EASY = 1024;
const WINDOW_US = 50_000;
/** Share of a window in what is known. */
const GAIN = 0.3;
/** Pace at which the bound returns to EASY. */
const EASING = 1.05;

export class Admission {
  /** Operations at the node now. */
  inFlight = 0;
  /** How many there may be. */
  bound: number;
  readonly #most: number;
  readonly #least: number;
  readonly #easy: number;
  readonly #queueUs: number;
  #ended = 0;
  #peak = 0;
  #windowUs = 0;
  /** Waits are too long. */
  #busy = false;

  /** `most`: the bound is never higher. `requestMs`: within this time a request is decided. */
  constructor(most: number, requestMs: number) {
    this.#most = most;
    this.#least = Math.min(most, LEAST);
    this.#easy = Math.min(most, EASY);
    this.bound = this.#easy;
    this.#queueUs = requestMs * 1000 * QUEUE_SHARE;
  }

  get hasRoom(): boolean {
    return this.inFlight < this.bound;
  }

  begin(): void {
    this.inFlight++;
    if (this.inFlight > this.#peak) this.#peak = this.inFlight;
  }

  end(): void {
    this.inFlight--;
    this.#ended++;
  }

  /** Called now and then, at least once before a batch of commands is taken. */
  look(nowUs: number): void {
    const passedUs = nowUs - this.#windowUs;
    if (passedUs < WINDOW_US) return;
    const sustainable = (this.#ended / passedUs) * this.#queueUs;
    if (this.#peak < this.#least || this.#peak < sustainable / 2) this.#busy = false;
    else if (this.#peak > sustainable) this.#busy = true;
    if (this.#busy) this.#move(this.bound + (sustainable - this.bound) * GAIN);
    else if (this.bound < this.#easy) this.#move(Math.max(sustainable, Math.min(this.#easy, this.bound * EASING)));
    else this.#move(Math.max(sustainable, this.#easy, this.bound / EASING));
    this.#windowUs = nowUs;
    this.#ended = 0;
    this.#peak = this.inFlight;
  }

  #move(bound: number): void {
    this.bound = Math.min(this.#most, Math.max(this.#least, Math.round(bound)));
  }
}
