// Goal: suspicion (P10) and patience (P16) as functions of what was sent, heard and measured.
import { describe, expect, it } from "vitest";
import {
  isLastinglySlow,
  isReady,
  judgePeers,
  newPeer,
  noteHeard,
  noteRoundTrip,
  noteSent,
  type Peer,
  type PeerJudgement,
} from "../../src/node/peers.js";

function judgementAt(tick: number): PeerJudgement {
  return {
    self: 0,
    tick,
    suspected: [false, true, true],
    peerOrder: [1, 2],
    patienceTicks: 0,
    namedLeader: 0,
    avoided: [false, false, false],
    slowSinceTick: [0, 0, 0],
  };
}

function readyPeers(): [Peer, Peer] {
  const peers: [Peer, Peer] = [newPeer(1, "n2"), newPeer(2, "n3")];
  for (const peer of peers) {
    peer.connected = true;
    peer.boundHere = true;
    peer.boundThere = true;
  }
  return peers;
}

describe("a leader with a slow disk", () => {
  function avoided(own: number, theirs: number, before = false): boolean {
    const peers = readyPeers();
    peers[0].flushUs = theirs;
    peers[1].flushUs = 400;
    const judgement = { ...judgementAt(1), avoided: [false, before, false] };
    judgePeers(judgement, peers, { flushUs: own, isDrained: false });
    return judgement.avoided[1] ?? false;
  }

  it("P17 is gone round by those with quick disks, until it is quick again", () => {
    expect([500, 2999, 3001, 50_000].map((theirs) => avoided(500, theirs))).toEqual([false, false, true, true]);
    expect([3001, 2001, 2000].map((theirs) => avoided(500, theirs, true))).toEqual([true, true, false]);
  });

  it("P17 is gone round when it is to be spared, which does not make it slow", () => {
    const peers = readyPeers();
    for (const peer of peers) peer.flushUs = 400;
    peers[0].isDrained = true;
    const judgement = judgementAt(1);
    judgePeers(judgement, peers, { flushUs: 400, isDrained: false });
    expect([judgement.avoided, judgement.namedLeader]).toEqual([[false, true, false], 0]);
    judgePeers({ ...judgement, tick: 9000 }, peers, { flushUs: 400, isDrained: false });
    expect(isLastinglySlow({ ...judgement, tick: 9000 }, 1)).toBe(false);
    peers[0].isDrained = false;
    judgePeers(judgement, peers, { flushUs: 400, isDrained: false });
    expect(judgement.avoided[1]).toBe(false);
  });

  it("P17 leads no longer when it is to be spared itself, as long as another may", () => {
    const peers = readyPeers();
    peers[0].flushUs = 300;
    peers[1].flushUs = 400;
    const judgement = judgementAt(1);
    judgePeers(judgement, peers, { flushUs: 400, isDrained: true });
    expect(judgement.namedLeader).toBe(1);
    expect(judgement.slowSinceTick[0]).toBe(0);
    peers[0].isDrained = true;
    judgePeers(judgement, peers, { flushUs: 400, isDrained: true });
    expect(judgement.namedLeader).toBe(2);
    peers[1].isDrained = true;
    judgePeers(judgement, peers, { flushUs: 400, isDrained: true });
    expect(judgement.namedLeader).toBe(0);
  });

  it("P17 is asked as ever by who is no quicker, and while nothing is known of it", () => {
    expect([avoided(50_000, 50_000), avoided(500, 0)]).toEqual([false, false]);
  });

  it("is told to clients when it was slow for a while", () => {
    const context = judgementAt(1);
    const slowAt = (tick: number, theirs: number): boolean => {
      const peers = readyPeers();
      peers[0].flushUs = theirs;
      peers[1].flushUs = 500;
      Object.assign(context, { tick });
      judgePeers(context, peers, { flushUs: 500, isDrained: false });
      return isLastinglySlow(context, 1);
    };
    expect([slowAt(1, 50_000), slowAt(5000, 50_000), slowAt(5002, 50_000)]).toEqual([false, false, true]);
    expect([slowAt(5003, 500), slowAt(5004, 50_000), slowAt(10_005, 50_000)]).toEqual([false, false, true]);
  });
});

describe("the next leader", () => {
  /** Whom a replica names whose disk takes `flushUs`, the others' taking 500 and 400. */
  function named(flushUs: number, namedBefore = 0, change: (peers: [Peer, Peer]) => void = () => undefined): number {
    const peers = readyPeers();
    peers[0].flushUs = 500;
    peers[1].flushUs = 400;
    change(peers);
    const judgement = { ...judgementAt(1), namedLeader: namedBefore };
    judgePeers(judgement, peers, { flushUs, isDrained: false });
    return judgement.namedLeader;
  }

  it("P17 is the proposer, also on a disk that is somewhat slower", () => {
    expect([0, 400, 1000, 2600].map((flushUs) => named(flushUs))).toEqual([0, 0, 0, 0]);
  });

  it("P17 is the replica with the quickest disk where the proposer's is much slower, until it no longer is", () => {
    expect([2601, 50_000].map((flushUs) => named(flushUs))).toEqual([2, 2]);
    expect([1801, 1800].map((flushUs) => named(flushUs, 2))).toEqual([2, 0]);
  });

  it("P17 is nobody who is suspected, and nobody whose disk is not known", () => {
    const gone = ([, quickest]: [Peer, Peer]): void => {
      quickest.connected = false;
    };
    expect(named(50_000, 0, gone)).toBe(1);
    const unknown = (peers: [Peer, Peer]): void => {
      for (const peer of peers) peer.flushUs = 0;
    };
    expect(named(50_000, 0, unknown)).toBe(0);
  });
});

describe("a peer", () => {
  it("is ready only when it is connected and bound on both sides (P29)", () => {
    for (let bits = 0; bits < 8; bits++) {
      const peer = newPeer(1, "n2");
      peer.connected = (bits & 1) !== 0;
      peer.boundHere = (bits & 2) !== 0;
      peer.boundThere = (bits & 4) !== 0;
      expect(isReady(peer), `bits ${String(bits)}`).toBe(bits === 7);
    }
  });

  it("is suspected as long as it is not ready, and judging says when that changed", () => {
    const peers = readyPeers();
    const judgement = judgementAt(1);
    expect(judgePeers(judgement, peers, { flushUs: 0, isDrained: false })).toBe(true);
    expect(judgement.suspected).toEqual([false, false, false]);
    expect(judgePeers(judgement, peers, { flushUs: 0, isDrained: false })).toBe(false);
    peers[1].connected = false;
    expect(judgePeers(judgement, peers, { flushUs: 0, isDrained: false })).toBe(true);
    expect(judgement.suspected).toEqual([false, false, true]);
  });

  it("is suspected when it was silent for more than 20 ticks since something was sent to it", () => {
    const peers = readyPeers();
    noteSent(peers[0], 100);
    noteSent(peers[0], 115); // it is the first question that counts
    for (const [tick, suspected] of [
      [120, false],
      [121, true],
    ] as const) {
      const judgement = judgementAt(tick);
      judgePeers(judgement, peers, { flushUs: 0, isDrained: false });
      expect(judgement.suspected, `tick ${String(tick)}`).toEqual([false, suspected, false]);
    }
    noteHeard(peers[0]);
    const judgement = judgementAt(121);
    judgePeers(judgement, peers, { flushUs: 0, isDrained: false });
    expect(judgement.suspected).toEqual([false, false, false]);
  });

  it("may be silent for three times its round trip and the flush", () => {
    const peers = readyPeers();
    noteRoundTrip(peers[0], 20_000);
    noteSent(peers[0], 100);
    for (const [tick, suspected] of [
      [190, false],
      [191, true],
    ] as const) {
      const judgement = judgementAt(tick);
      judgePeers(judgement, peers, { flushUs: 10_000, isDrained: false });
      expect(judgement.suspected[1], `tick ${String(tick)}`).toBe(suspected);
    }
  });

  it("does not live longer for one answer that was very late", () => {
    const peers = readyPeers();
    noteRoundTrip(peers[0], 60_000_000);
    noteSent(peers[0], 100);
    const judgement = judgementAt(100 + 1000);
    judgePeers(judgement, peers, { flushUs: 0, isDrained: false });
    expect(judgement.suspected[1]).toBe(true);
  });
});

describe("order and patience", () => {
  it("put the quickest first", () => {
    const peers = readyPeers();
    for (let i = 0; i < 50; i++) noteRoundTrip(peers[0], 9000);
    const judgement = judgementAt(1);
    judgePeers(judgement, peers, { flushUs: 0, isDrained: false });
    expect(judgement.peerOrder).toEqual([2, 1]);
  });

  it("wait a small multiple of round trip and flush, within bounds, and for nobody who is suspected", () => {
    const patienceFor = (roundTripUs: number, flushUs: number, connected: boolean): number => {
      const peers = readyPeers();
      peers[0].connected = connected;
      for (let i = 0; i < 200; i++) noteRoundTrip(peers[0], roundTripUs);
      const judgement = judgementAt(1);
      judgePeers(judgement, peers, { flushUs, isDrained: false });
      return judgement.patienceTicks;
    };
    expect(patienceFor(100, 100, true), "least").toBe(10);
    expect(patienceFor(8000, 2000, true)).toBe(40);
    expect(patienceFor(8000, 2000, false)).toBe(10);
    expect(patienceFor(200_000, 0, true), "most").toBe(250);
  });
});
