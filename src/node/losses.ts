/**
 * What the own disk has lost, and what follows (P29 to P31): a number for every loss, durable before it is told to the peers,
 * and told to them before anything is asked under it. The whole disk at once, or single keys; closing the first when every
 * key was restored. Who is asked and what becomes of each key is the sweep's affair.
 */
import { MAX_LOSS } from "../codec/record.js";
import type { Context } from "../paxos/context.js";
import { HandoffLog } from "../paxos/handoffs.js";
import { type Identity, loseAll, nextLoss } from "./identity.js";

/**
 * Telling a loss ends all connections: what is found within this time is told together, in ticks. The time doubles while more
 * is found, up to that of a few seconds: such a disk has keys by the thousand to tell of, and others must go on.
 */
const TAINT_TICKS = 1000;
const MOST_DOUBLINGS = 2;

export interface LossesHost {
  readonly context: Context;
  readonly identity: Identity;
  save(done: () => void): void;
  /** The identity says something new of this node: the peers are told. */
  announce(): void;
  /** Every peer has bound us under our loss of this number or a later one. */
  fencedLoss(): number;
}

export class Losses {
  readonly #host: LossesHost;
  /** Damage was found that the present loss does not cover. */
  #isTainted = false;
  #nextTaintTick = 0;
  #taintTicks = TAINT_TICKS;
  #isSaving = false;

  constructor(host: LossesHost) {
    this.#host = host;
    copyToContext(host);
  }

  /** P31: what was asked under the present loss is about votes that nobody counts any more. */
  get isFenced(): boolean {
    return !this.#isSaving && this.#host.fencedLoss() >= this.#host.context.loss;
  }

  get isOpen(): boolean {
    return this.#host.context.lossOpen;
  }

  /** P29: the whole disk is lost; `told` is what all peers remember of it. `done` once that is durable and told to them. */
  takeAll(told: { readonly incarnation: number; readonly loss: number }, done: () => void): void {
    const { identity, context } = this.#host;
    loseAll(identity, identity.forgot, told);
    this.#tell(() => {
      context.incarnation = identity.incarnation;
      // Both sides number what they hand over anew in an incarnation (P16).
      context.handoffsSent.fill(0);
      for (let peer = 0; peer < context.replicas; peer++) context.handoffsTaken[peer] = new HandoffLog();
      done();
    });
  }

  /** P30: a record of a key was found broken, after everything that the peers have been told of. */
  taint(): void {
    const { nodeIds, loss } = this.#host.identity;
    if (nodeIds.length > 1 && loss < MAX_LOSS) this.#isTainted = true;
  }

  beat(): void {
    const { context, identity } = this.#host;
    if (!this.#isTainted || this.#isSaving || identity.forgot !== "" || context.tick < this.#nextTaintTick) return;
    this.#isTainted = false;
    const isNext = context.tick < this.#nextTaintTick + this.#taintTicks;
    this.#taintTicks = isNext ? Math.min(this.#taintTicks * 2, TAINT_TICKS << MOST_DOUBLINGS) : TAINT_TICKS;
    this.#nextTaintTick = context.tick + this.#taintTicks;
    identity.loss = nextLoss(identity.loss);
    this.#tell(() => undefined);
  }

  #tell(then: () => void): void {
    this.#isSaving = true;
    this.#host.save(() => {
      this.#isSaving = false;
      copyToContext(this.#host);
      then();
      this.#host.announce();
    });
  }

  /** P31: every key that any other replica held was restored. Keys without a record are new ones from now on. */
  close(done: () => void): void {
    const { identity } = this.#host;
    identity.lossOpen = false;
    identity.lossReason = "";
    this.#host.save(() => {
      copyToContext(this.#host);
      done();
    });
  }
}

function copyToContext({ context, identity }: LossesHost): void {
  context.loss = identity.loss;
  context.lossAll = identity.lossAll;
  context.lossOpen = identity.lossOpen;
}
