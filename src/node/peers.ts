/**
 * What is known of each peer while it lives: connected or not, how quick, when last heard, suspected or not (P10).
 * Suspicion costs two phases, never safety, so it may be wrong; it must be quick when a peer is gone. It is the same for
 * all keys, so a dead leader costs no time-out per key.
 */
import type { Context } from "../paxos/context.js";
import type { ReplicaId } from "../paxos/ballot.js";

/** P10: nobody is suspected for a silence shorter than this. */
const MIN_SILENCE_TICKS = 20;
const SILENCE_FACTOR = 3;
/** P16: what "a small multiple of round trip and flush" is, and its least value in ticks. */
const PATIENCE_FACTOR = 4;
const MIN_PATIENCE_TICKS = 10;
const MAX_PATIENCE_TICKS = 250;
/** Share of a new measurement in the mean round trip, which orders peers. */
const ROUND_TRIP_GAIN = 1 / 8;
/** The worst round trip sets patience and how long a silence is bearable. It is believed for a while: each quicker one lowers it by this factor. */
const WORST_ROUND_TRIP_DECAY = 0.97;
/** P17: a disk is slow that takes so many times as long as another, and a while more. It is again quick at half the factor. */
const SLOW_DISK_FACTOR = 4;
const SLOW_DISK_US = 1000;
/** Clients are sent elsewhere first when a disk was slow for so long: they ask rarely, and a moment is nothing to them. */
const LASTING_TICKS = 5000;
/** A peer that was stopped answers late; that says nothing about the network. */
const MAX_ROUND_TRIP_US = 250_000;

export interface Peer {
  readonly replica: ReplicaId;
  readonly nodeId: string;
  connected: boolean;
  /** P29: bound here durably, and bound there. Messages go both ways only when both hold. */
  boundHere: boolean;
  boundThere: boolean;
  /** P31: it has bound us, durably, under our loss of this number or a later one; -1 = not known yet. */
  fencedLoss: number;
  refused: string;
  incarnation: number;
  roundTripUs: number;
  worstRoundTripUs: number;
  /** Tick of the first frame sent since the peer was last heard, 0 = none. */
  awaitedSinceTick: number;
  /** Tick of the last heartbeat sent to it. */
  lastBeatTick: number;
  /** What a write with its flush takes there, as it told; 0 = not known. */
  flushUs: number;
  /** Highest durable LSN that it told in this incarnation. */
  watermark: number;
  /** The cluster's map spares it. */
  isDrained: boolean;
}

export function newPeer(replica: ReplicaId, nodeId: string): Peer {
  return {
    replica,
    nodeId,
    connected: false,
    boundHere: false,
    boundThere: false,
    fencedLoss: -1,
    refused: "",
    incarnation: 0,
    roundTripUs: 500,
    worstRoundTripUs: 500,
    awaitedSinceTick: 0,
    lastBeatTick: 0,
    flushUs: 0,
    watermark: 0,
    isDrained: false,
  };
}

export function isReady(peer: Peer): boolean {
  return peer.connected && peer.boundHere && peer.boundThere;
}

export function noteHeard(peer: Peer): void {
  peer.awaitedSinceTick = 0;
}

export function noteSent(peer: Peer, tick: number): void {
  if (peer.awaitedSinceTick === 0) peer.awaitedSinceTick = tick;
}

export function noteRoundTrip(peer: Peer, microseconds: number): void {
  const measured = Math.min(microseconds, MAX_ROUND_TRIP_US);
  peer.roundTripUs += (measured - peer.roundTripUs) * ROUND_TRIP_GAIN;
  peer.worstRoundTripUs = Math.max(measured, peer.worstRoundTripUs * WORST_ROUND_TRIP_DECAY);
}

/** What is derived from the peers, and the time by which it is. */
export type PeerJudgement = Pick<
  Context,
  "self" | "tick" | "suspected" | "peerOrder" | "patienceTicks" | "namedLeader" | "avoided" | "slowSinceTick"
>;

/** This node's own part in it. */
export interface OwnState {
  /** What a write with its flush takes here, 0 = not known. */
  readonly flushUs: number;
  readonly isDrained: boolean;
}

/** Brings suspicion, order and patience in `context` up to date. Returns true when suspicion changed. */
export function judgePeers(context: PeerJudgement, peers: readonly Peer[], own: OwnState): boolean {
  const { flushUs } = own;
  let changed = false;
  let slowest = 0;
  for (const peer of peers) {
    const expectedTicks = (peer.worstRoundTripUs + flushUs) / 1000;
    const silenceTicks = Math.max(MIN_SILENCE_TICKS, SILENCE_FACTOR * expectedTicks);
    const silent = peer.awaitedSinceTick !== 0 && context.tick - peer.awaitedSinceTick > silenceTicks;
    const suspected = !isReady(peer) || silent;
    if (context.suspected[peer.replica] !== suspected) {
      context.suspected[peer.replica] = suspected;
      changed = true;
    }
    if (!suspected) slowest = Math.max(slowest, peer.worstRoundTripUs);
  }
  const patience = Math.ceil((PATIENCE_FACTOR * (slowest + flushUs)) / 1000);
  context.patienceTicks = Math.min(MAX_PATIENCE_TICKS, Math.max(MIN_PATIENCE_TICKS, patience));
  const roundTrip = (replica: ReplicaId): number => peers.find((peer) => peer.replica === replica)?.roundTripUs ?? 0;
  context.peerOrder.sort((a, b) => roundTrip(a) - roundTrip(b));
  context.namedLeader = nextLeader(context, peers, own);
  noteSlowness(context, judgeDisks(context, peers, own), own);
  return changed;
}

function noteSlowness(
  { self, tick, namedLeader, slowSinceTick }: PeerJudgement,
  slow: readonly ReplicaId[],
  { isDrained }: OwnState,
): void {
  for (let replica = 0; replica < slowSinceTick.length; replica++) {
    const isSlow = replica === self ? namedLeader !== self && !isDrained : slow.includes(replica);
    if (!isSlow) slowSinceTick[replica] = 0;
    else if (slowSinceTick[replica] === 0) slowSinceTick[replica] = tick;
  }
}

/** P17: its disk holds everybody up, and not for a moment only. */
export function isLastinglySlow({ tick, slowSinceTick }: PeerJudgement, replica: ReplicaId): boolean {
  const since = slowSinceTick[replica] ?? 0;
  return since > 0 && tick - since > LASTING_TICKS;
}

/**
 * P17: keys whose newest entry names a replica with a slow disk are taken from it: their next write goes in two phases, as if
 * that one were suspected, which costs a round among the others once in place of a write there. So are the keys of one that is to be spared.
 * Whose disks are slow.
 */
function judgeDisks(context: PeerJudgement, peers: readonly Peer[], { flushUs }: OwnState): ReplicaId[] {
  const { avoided, self, namedLeader } = context;
  const slow: ReplicaId[] = [];
  for (const { replica, isDrained, flushUs: theirs } of peers) {
    const factor = avoided[replica] === true && !isDrained ? SLOW_DISK_FACTOR / 2 : SLOW_DISK_FACTOR;
    const isSlow = theirs > factor * flushUs + SLOW_DISK_US;
    avoided[replica] = namedLeader === self && (isDrained || isSlow);
    if (isSlow && namedLeader === self) slow.push(replica);
  }
  return slow;
}

/**
 * P17: a class-zero value needs its leader's own record (P9), so every write of a key waits for its leader's disk. A disk that is
 * much slower than the quickest other one leads no longer; its node's own writes go through that one, and need not wait for
 * their own record. Nor does a node lead that is to be spared, if there is another.
 */
function nextLeader(context: PeerJudgement, peers: readonly Peer[], { flushUs, isDrained }: OwnState): ReplicaId {
  const { self, suspected } = context;
  let quickest: Peer | null = null;
  for (const peer of peers) {
    if (peer.flushUs === 0 || peer.isDrained || suspected[peer.replica] === true) continue;
    if (quickest === null || peer.flushUs < quickest.flushUs) quickest = peer;
  }
  if (quickest === null) return self;
  const factor = context.namedLeader === self ? SLOW_DISK_FACTOR : SLOW_DISK_FACTOR / 2;
  return isDrained || flushUs > factor * quickest.flushUs + SLOW_DISK_US ? quickest.replica : self;
}
