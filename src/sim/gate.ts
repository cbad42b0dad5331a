/**
 * The door through which everything reaches a simulated process: frames, timers, the end of a flush, clients. While the
 * process is stopped (SIGSTOP) or its event loop is stuck, what comes waits here and enters all at once afterwards, in the
 * order in which it came. A dead process lets nothing in.
 */

export class Gate {
  #closures = 0;
  #dead = false;
  #waiting: (() => void)[] = [];

  get isOpen(): boolean {
    return this.#closures === 0 && !this.#dead;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  enter(run: () => void): void {
    if (this.isOpen) run();
    else if (!this.#dead) this.#waiting.push(run);
  }

  /** May be called again before `open`: it opens when every `close` was undone. */
  close(): void {
    this.#closures++;
  }

  /** Lets in what waited; how much that was. */
  open(): number {
    if (this.#closures > 0) this.#closures--;
    if (!this.isOpen) return 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) {
      if (this.#dead) break; // by what it was let in for
      run();
    }
    return waiting.length;
  }

  kill(): void {
    this.#dead = true;
    this.#waiting = [];
  }
}
