/**
 * The map of the cluster as this node knows it: the newest that it was shown, by the bootstrap group's store or by a peer. All replicas of a
 * node share one board; their heartbeats say which version is on it, and who hears of a newer one asks for it. What a map says is read by
 * others (server/map-keeper.ts); here are its bytes, its version, and the nodes that are to be spared.
 */

/** What of a map concerns nodes. */
export interface MapOnBoard {
  /** From 1, rising with every change. */
  readonly version: number;
  /** Ids of nodes that are to have as little to do as may be. */
  readonly drained: readonly string[];
}

export class MapBoard {
  readonly #read: (bytes: Uint8Array) => MapOnBoard | null;
  #bytes: Uint8Array = new Uint8Array(0);
  #version = 0;
  #drained: ReadonlySet<string> = new Set();

  /** `read`: null for what is no map. */
  constructor(read: (bytes: Uint8Array) => MapOnBoard | null) {
    this.#read = read;
  }

  /** 0 = none is known yet. */
  get version(): number {
    return this.#version;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  isDrained(nodeId: string): boolean {
    return this.#drained.has(nodeId);
  }

  /** Takes a map that is newer than the one here. False: what was shown is no map. */
  show(bytes: Uint8Array): boolean {
    const map = this.#read(bytes);
    if (map === null) return false;
    if (map.version > this.#version) {
      this.#version = map.version;
      this.#bytes = bytes;
      this.#drained = new Set(map.drained);
    }
    return true;
  }
}
