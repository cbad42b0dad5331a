/** Random valid messages, control messages and records of a group of three, for the claims of the codec's tests. */
import fc from "fast-check";
import { rawKey } from "../../src/base/key.js";
import type { ControlMessage } from "../../src/codec/control.js";
import type { KeyState, SweepMessage } from "../../src/codec/sweep.js";
import { type Ballot, isBallot, NO_BALLOT } from "../../src/paxos/ballot.js";
import { type Entry, makeEntry } from "../../src/paxos/entry.js";
import type { Message } from "../../src/paxos/message.js";
import {
  type Condition,
  EXPIRY_RULES,
  FAIL_REASONS,
  type Operation,
  type RequestId,
  type Step,
  type WriteOutcome,
} from "../../src/paxos/operation.js";

export const REPLICAS = 3;

const wide = fc.oneof(fc.nat(300), fc.maxSafeNat());
const index = wide.map((n) => Math.max(1, n));
const replica = fc.nat(REPLICAS - 1);
const hash = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 60 });
const text = fc.string({ maxLength: 40 });
const latin1 = fc.array(fc.nat(255), { maxLength: 30 }).map((codes) => String.fromCharCode(...codes));
export const key = latin1.map((name) => rawKey(`u${name}`));
const requestId: fc.Arbitrary<RequestId> = fc.record({ replica, incarnation: wide, counter: wide });

function ballotFrom(least: number): fc.Arbitrary<Ballot> {
  const counter = wide.map((n) => Math.min(Math.max(n, least), Number.MAX_SAFE_INTEGER - 1));
  return fc.record({ counter, replica, incarnation: wide });
}
const ordinary = ballotFrom(1);
const anyBallot = fc.oneof(fc.constant(NO_BALLOT), ballotFrom(0));

/** An index from 1 to `at`. */
function upTo(at: number): fc.Arbitrary<number> {
  return fc.maxSafeNat().map((n) => 1 + (n % at));
}

export function entryAt(at: number): fc.Arbitrary<Entry> {
  return fc
    .record({
      tombstone: fc.boolean(),
      version: wide,
      expiryMs: wide,
      leader: replica,
      coveredFrom: upTo(at),
      value: bytes,
      requests: fc.array(
        fc.record({
          id: requestId,
          index: upTo(at),
          refusal: fc.constantFrom(null, "exists" as const, "too-large" as const, "not-finite" as const),
          result: fc.oneof(fc.constant(null), wide, fc.string({ maxLength: 8 }), fc.constant("large" as const)),
          version: wide,
        }),
        { maxLength: 4 },
      ),
    })
    .map(({ requests, ...fields }) => {
      const value = fields.tombstone ? new Uint8Array(0) : fields.value;
      const newestFirst = requests.toSorted((a, b) => b.index - a.index);
      return makeEntry({ ...fields, index: at, value }, newestFirst);
    });
}

function optionalEntryAt(at: number): fc.Arbitrary<Entry | null> {
  return at < 1 ? fc.constant(null) : fc.option(entryAt(at));
}

const digest = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => n.toString(16).padStart(16, "0"));
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constantFrom({ kind: "none" } as const, { kind: "absent" } as const, { kind: "present" } as const),
  fc.record({ kind: fc.constant("version" as const), version: wide }),
  fc.record({ kind: fc.constantFrom("equal" as const, "different" as const), value: bytes }),
  fc.record({ kind: fc.constantFrom("digest" as const, "other-digest" as const), digest }),
);

const deadline = fc.maxSafeInteger().map((n) => n + 0);
const floatDelta = fc.oneof(
  fc.constantFrom("inf", "0x0p-16445"),
  fc
    .record({ minus: fc.boolean(), mantissa: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), power: fc.nat(16_000) })
    .map(({ minus, mantissa, power }) => `${minus ? "-" : ""}0x${mantissa.toString(16)}p-${String(power + 1)}`),
);
const bound = fc.nat(64 * 2 ** 20);
const single = fc.oneof(
  fc.record({
    kind: fc.constant("set" as const),
    value: bytes,
    expiryMs: fc.oneof(fc.constant(-1), wide),
    condition,
    returnOld: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("add" as const),
    delta: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  }),
  fc.record({ kind: fc.constant("append" as const), value: bytes, maxBytes: bound }),
  fc.record({ kind: fc.constantFrom("expire" as const, "touch" as const), expiryMs: deadline }),
  fc.record({ kind: fc.constant("expire-if" as const), expiryMs: deadline, rule: fc.constantFrom(...EXPIRY_RULES) }),
  fc.record({ kind: fc.constant("remove" as const), condition, returnOld: fc.boolean() }),
  fc.record({ kind: fc.constant("set-range" as const), offset: bound, value: bytes, maxBytes: bound }),
  fc.record({ kind: fc.constant("add-float" as const), delta: floatDelta, maxBytes: bound }),
  fc.constantFrom({ kind: "delete" } as const, { kind: "persist" } as const),
);
const step: fc.Arbitrary<Step> = fc.oneof(single, fc.constant({ kind: "read" } as const));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: single },
  { weight: 1, arbitrary: fc.constant({ kind: "expire-due" } as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("steps" as const),
      condition,
      steps: fc.array(step, { maxLength: 5 }),
      maxBytes: bound,
    }),
  },
);

const result = fc.oneof(fc.constant(null), wide, text, bytes);
const outcome: fc.Arbitrary<WriteOutcome> = fc.oneof(
  fc.record({ status: fc.constant("ok" as const), index, version: wide, result }),
  fc.record({
    status: fc.constant("failed" as const),
    reason: fc.constantFrom(...FAIL_REASONS),
    version: wide,
    result,
  }),
  fc.record({
    status: fc.constant("not-applied" as const),
    code: fc.constantFrom("NOQUORUM" as const, "BUSY" as const, "FAILED" as const),
    message: text,
  }),
  fc.record({ status: fc.constant("unknown" as const), message: text }),
);

function of<T extends string>(type: T): fc.Arbitrary<T> {
  return fc.constant(type);
}

const granted = fc.record({ accepted: anyBallot, granted: fc.boolean() });

/** One arbitrary per type, so that a test can name the one that failed. */
export const MESSAGES: { readonly [T in Message["type"]]: fc.Arbitrary<Message> } = {
  prepare: index.chain((at) =>
    fc.record({
      type: of("prepare"),
      key,
      index: fc.constant(at),
      ballot: ordinary,
      mark: anyBallot,
      base: optionalEntryAt(at - 1),
    }),
  ),
  promise: fc.tuple(index, granted).chain(([at, grant]) =>
    fc.record({
      type: of("promise"),
      key,
      index: fc.constant(at),
      ballot: ordinary,
      granted: fc.constant(grant.granted),
      promised: anyBallot,
      accepted: fc.constant(grant.accepted),
      entry: isBallot(grant.accepted) ? entryAt(at) : fc.constant(null),
      chosenIndex: wide,
    }),
  ),
  accept: index.chain((at) =>
    fc.record({
      type: of("accept"),
      key,
      index: fc.constant(at),
      ballot: ballotFrom(0),
      entry: entryAt(at),
      proposer: replica,
      mark: anyBallot,
      base: optionalEntryAt(at - 1),
    }),
  ),
  accepted: fc.record({
    type: of("accepted"),
    key,
    index,
    ballot: ballotFrom(0),
    entryHash: hash,
    granted: fc.boolean(),
    promised: anyBallot,
    accepted: anyBallot,
    chosenIndex: wide,
  }),
  behind: fc.record({
    type: of("behind"),
    key,
    index,
    ballot: anyBallot,
    phase: fc.constantFrom("prepare" as const, "accept" as const, "submit" as const),
    chosenIndex: wide,
    sequence: wide,
  }),
  learn: fc.record({ type: of("learn"), key, entry: index.chain(entryAt) }),
  chosen: fc.record({ type: of("chosen"), key, index, ballot: ballotFrom(0) }),
  submit: index.chain((at) =>
    fc.record({
      type: of("submit"),
      key,
      index: fc.constant(at),
      entry: entryAt(at),
      mark: anyBallot,
      base: optionalEntryAt(at - 1),
      incarnation: wide,
      targetIncarnation: wide,
      sequence: wide,
    }),
  ),
  "submit-refused": wide.chain((at) =>
    fc.record({
      type: of("submit-refused"),
      key,
      index,
      sequence: wide,
      promised: anyBallot,
      chosenIndex: fc.constant(at),
      entry: optionalEntryAt(at),
    }),
  ),
  forward: fc.record({
    type: of("forward"),
    key,
    request: requestId,
    operation,
    since: wide,
    remainingTicks: wide,
    targetIncarnation: wide,
    sequence: wide,
  }),
  "forward-reply": fc.record({
    type: of("forward-reply"),
    key,
    request: requestId,
    outcome,
    index: wide,
    sequence: wide,
  }),
  "state-query": fc.record({ type: of("state-query"), key, query: wide, knownIndex: wide }),
  "state-reply": wide.chain((at) =>
    fc.record({
      type: of("state-reply"),
      key,
      query: wide,
      votes: fc.boolean(),
      chosenIndex: fc.constant(at),
      chosenBallot: anyBallot,
      leader: replica,
      accepted: anyBallot,
      proposer: replica,
      entry: optionalEntryAt(at),
    }),
  ),
  fetch: fc.record({ type: of("fetch"), key, index, settle: fc.boolean() }),
};

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(...Object.values(MESSAGES));

export const CONTROLS: { readonly [T in ControlMessage["type"]]: fc.Arbitrary<ControlMessage> } = {
  heartbeat: fc.record({ type: of("heartbeat"), sentTick: wide }),
  "heartbeat-reply": fc.record({
    type: of("heartbeat-reply"),
    sentTick: wide,
    flushUs: wide,
    reaches: wide,
    mapVersion: wide,
  }),
  "map-query": fc.record({ type: of("map-query") }),
  map: fc.record({ type: of("map"), bytes }),
  binding: fc.record({
    type: of("binding"),
    bound: fc.boolean(),
    first: fc.boolean(),
    remembersIncarnation: wide,
    remembersLoss: wide,
    remembersWatermark: wide,
    reason: text,
  }),
};

export const anyControl: fc.Arbitrary<ControlMessage> = fc.oneof(...Object.values(CONTROLS));

const keyState: fc.Arbitrary<KeyState> = fc
  .record({ key, top: index, chosenHash: hash, acceptedHash: hash, kind: fc.nat(2), votes: fc.boolean() })
  .map(({ kind, top, acceptedHash, ...rest }) => ({
    ...rest,
    top,
    chosenIndex: kind === 0 ? top : top - 1,
    acceptedHash: kind === 1 ? Math.max(1, acceptedHash) : 0,
  }));
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bucketDigest = fc.oneof({ weight: 3, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: u64 });
const digests = fc
  .array(bucketDigest, { maxLength: 40 })
  .map((values) => new Uint8Array(BigUint64Array.from(values).buffer));
const bucket = fc.nat(65_535);

export const SWEEPS: { readonly [T in SweepMessage["type"]]: fc.Arbitrary<SweepMessage> } = {
  "digests-query": fc
    .record({ type: of("digests-query"), loss: wide, first: bucket, count: fc.nat() })
    .map((query) => ({ ...query, count: 1 + (query.count % (65_536 - query.first)) })),
  digests: fc.record({
    type: of("digests"),
    loss: wide,
    first: fc.nat(65_000),
    digests,
    keys: wide,
    open: fc.boolean(),
  }),
  "list-query": fc
    .record({ type: of("list-query"), loss: wide, query: wide, first: bucket, end: fc.nat(), after: u64 })
    .map((query) => ({ ...query, end: query.first + 1 + (query.end % (65_536 - query.first)) })),
  list: fc.record({
    type: of("list"),
    loss: wide,
    query: wide,
    keys: fc.array(keyState, { maxLength: 8 }),
    open: fc.boolean(),
    busy: fc.boolean(),
    next: u64,
  }),
};

export const anySweep: fc.Arbitrary<SweepMessage> = fc.oneof(...Object.values(SWEEPS));
