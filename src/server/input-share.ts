/**
 * Whose turn it is in the event loop. Clients that send more than can be done would fill each of its rounds, and what peers
 * and the disk say would wait so long that the peers take this node for dead. So input of clients is taken for a few milliseconds
 * a round; the connections that are left wait for the next one, first come, first served.
 */

const SHARE_US = 4000;

export interface HeldConnection {
  /** Takes the input that was held. */
  release(): void;
}

export class InputShare {
  #sinceUs = 0;
  #held: HeldConnection[] = [];
  #scheduled = false;
  readonly #nowUs: () => number;

  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
  }

  /** False: the connection is to keep what it has received, and will be released. */
  take(connection: HeldConnection, nowUs: number): boolean {
    if (this.#held.length === 0) {
      if (this.#sinceUs === 0) this.#begin(nowUs);
      if (nowUs - this.#sinceUs <= SHARE_US) return true;
    }
    this.#held.push(connection);
    this.#schedule();
    return false;
  }

  #begin(nowUs: number): void {
    this.#sinceUs = nowUs;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#round);
  }

  readonly #round = (): void => {
    this.#scheduled = false;
    this.#sinceUs = 0;
    const held = this.#held;
    if (held.length === 0) return;
    const startUs = this.#nowUs();
    let next = 0;
    while (next < held.length && this.#nowUs() - startUs <= SHARE_US) held[next++]?.release();
    this.#held = held.slice(next);
    if (this.#held.length > 0) this.#schedule();
  };
}
