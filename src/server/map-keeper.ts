/**
 * A node's part in the cluster's map. Members of the bootstrap group read it from the store (the first of them writes it), and again now and then;
 * everybody else hears of it from peers, by the board that its replicas share. Changes are made at a member, by the version that they
 * were worked out from, so that of two at once one is worked out again.
 */
import type { Logger } from "pino";
import { clusterKey } from "../base/key.js";
import {
  type ClusterMap,
  decodeMap,
  encodeMap,
  firstMap,
  holdsMap,
  isPlacedAs,
  mapHolders,
  type Placement,
  withDrained,
} from "../cluster/index.js";
import type { MapBoard } from "../node/index.js";
import { type KeyService, NOBODY } from "../node/service.js";
import { type Condition, NO_EXPIRY, type ReadOutcome, type WriteOutcome } from "../paxos/operation.js";

const MAP_KEY = clusterKey("map");
/** Whoever changes the map shows it at once; this is for one that died before it could. */
const READ_AGAIN_MS = 60_000;
/** Until the map was read once. */
const RETRY_MS = 250;
/** A change that others were quicker than is worked out so often. */
const MAX_TRIES = 5;

export interface MapKeeperParts {
  readonly service: KeyService;
  readonly board: MapBoard;
  readonly placement: Placement;
  readonly nodeId: string;
  readonly log: Logger;
}

/** Why the map was not changed, or that nobody knows; for people. */
export class MapError extends Error {
  override readonly name = "MapError";
}

export class MapKeeper {
  readonly #parts: MapKeeperParts;
  readonly #isHolder: boolean;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  #known: ClusterMap;

  constructor(parts: MapKeeperParts) {
    this.#parts = parts;
    this.#known = firstMap(parts.placement);
    this.#isHolder = holdsMap(parts.placement, parts.nodeId);
  }

  start(): void {
    if (this.#isHolder) void this.#lookAgain();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** The newest that this node knows; before it knows any, what a cluster begins with. */
  get map(): ClusterMap {
    const { board } = this.#parts;
    if (board.version > this.#known.version) this.#known = decodeMap(board.bytes) ?? this.#known;
    return this.#known;
  }

  isDrained(nodeId: string): boolean {
    return this.#parts.board.isDrained(nodeId);
  }

  /** A node is spared from now on, or no longer. Rejects with a MapError. */
  async drain(nodeId: string, on: boolean): Promise<ClusterMap> {
    const { placement } = this.#parts;
    if (!this.#isHolder) {
      throw new MapError(`the map of the cluster is held by ${mapHolders(placement).join(", ")}: ask one of them`);
    }
    if (!placement.groups.some(({ members }) => members.includes(nodeId))) {
      throw new MapError(`there is no node ${nodeId} in this cluster`);
    }
    return this.#change((map) => withDrained(map, nodeId, on));
  }

  async #change(edit: (map: ClusterMap) => ClusterMap): Promise<ClusterMap> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const now = await this.#read();
      if (typeof now === "string") throw new MapError(now);
      const edited = now === null ? firstMap(this.#parts.placement) : edit(now.map);
      if (edited === now?.map) return edited;
      // Above all that nodes have heard of: an operator may have given up what held the newest map (P31).
      const next = now === null ? edited : { ...edited, version: Math.max(now.map.version, this.map.version) + 1 };
      const condition: Condition = now === null ? { kind: "absent" } : { kind: "version", version: now.keyVersion };
      const outcome = await this.#write(next, condition);
      if (outcome.status === "ok" && now !== null) return next;
      if (outcome.status === "not-applied") throw new MapError(`${outcome.code} ${outcome.message}`);
      if (outcome.status === "unknown")
        throw new MapError(`UNKNOWN ${outcome.message}: see whether the map has changed`);
    }
    throw new MapError("BUSY others change the map all the time");
  }

  async #lookAgain(): Promise<void> {
    const isKnown = await this.#refresh();
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#lookAgain(), isKnown ? READ_AGAIN_MS : RETRY_MS);
    this.#timer.unref();
  }

  /** False: it is not known, look again soon. */
  async #refresh(): Promise<boolean> {
    const now = await this.#read();
    if (typeof now === "string") return false;
    if (now !== null) return true;
    const outcome = await this.#write(firstMap(this.#parts.placement), { kind: "absent" });
    return outcome.status === "ok";
  }

  /** A strong read. A text says why there was none; null: nobody has written a map yet. */
  async #read(): Promise<{ readonly map: ClusterMap; readonly keyVersion: number } | string | null> {
    const outcome = await new Promise<ReadOutcome>((resolve) => {
      const onRead = (_tag: number, told: ReadOutcome): void => {
        resolve(told);
      };
      this.#parts.service.read(MAP_KEY, { ...NOBODY, onRead }, 0);
    });
    if (outcome.status === "refused") return `${outcome.code} ${outcome.message}`;
    if (!outcome.found) return null;
    const map = decodeMap(outcome.value);
    if (map === null || !isPlacedAs(map, this.#parts.placement)) {
      this.#parts.log.error({ alarm: true }, "the map of the cluster in its store is not one for this configuration");
      return "FAILED the map of the cluster in its store is not one for this configuration";
    }
    this.#parts.board.show(outcome.value);
    return { map, keyVersion: outcome.version };
  }

  async #write(map: ClusterMap, condition: Condition): Promise<WriteOutcome> {
    const value = encodeMap(map);
    const operation = { kind: "set", value, expiryMs: NO_EXPIRY, condition, returnOld: false } as const;
    const outcome = await new Promise<WriteOutcome>((resolve) => {
      const onWrite = (_tag: number, told: WriteOutcome): void => {
        resolve(told);
      };
      this.#parts.service.write(MAP_KEY, operation, { ...NOBODY, onWrite }, 0);
    });
    if (outcome.status === "ok") {
      this.#parts.board.show(value);
      this.#parts.log.info({ version: map.version, drained: map.drained }, "the map of the cluster was written");
    }
    return outcome;
  }
}
