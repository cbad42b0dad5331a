/**
 * SUBSCRIBE and its kin, for keyspace notifications: nobody can publish here, a key-value store is no message bus. And VWAIT,
 * which waits for a key.
 */
import { integerAt, keyAt } from "./arguments.js";
import type { Client, Handler } from "./client.js";
import { NOT_INTEGER, renderWaited } from "./replies.js";
import type { Arguments } from "./stored-arguments.js";
import { MAX_SUBSCRIPTIONS, type SubscriptionKind } from "./subscriptions.js";

const MAX_WAIT_MS = 3_600_000;

function confirm(client: Client, word: string, name: string | null): void {
  const { out } = client;
  out.push(3);
  out.text(word);
  if (name === null) out.null();
  else out.bulk(Buffer.from(name, "latin1"));
  out.integer(client.context.feed.subscriptions.count(client));
}

function subscribeTo(client: Client, args: Arguments, kind: SubscriptionKind, word: string): void {
  if (!client.settled()) return;
  const { subscriptions } = client.context.feed;
  for (let index = 1; index < args.argc; index++) {
    const name = args.latin1(index);
    if (subscriptions.add(client, kind, name)) confirm(client, word, name);
    else client.out.error(`ERR a connection has at most ${String(MAX_SUBSCRIPTIONS)} subscriptions`);
  }
}

function unsubscribeFrom(client: Client, args: Arguments, kind: SubscriptionKind, word: string): void {
  if (!client.settled()) return;
  const { subscriptions } = client.context.feed;
  const named = Array.from({ length: args.argc - 1 }, (_, i) => args.latin1(i + 1));
  const names = named.length > 0 ? named : subscriptions.namesOf(client, kind);
  for (const name of names) {
    subscriptions.remove(client, kind, name);
    confirm(client, word, name);
  }
  if (names.length === 0) confirm(client, word, null);
}

export const subscribe: Handler = (client, args) => {
  subscribeTo(client, args, "channel", "subscribe");
};

export const psubscribe: Handler = (client, args) => {
  subscribeTo(client, args, "pattern", "psubscribe");
};

export const unsubscribe: Handler = (client, args) => {
  unsubscribeFrom(client, args, "channel", "unsubscribe");
};

export const punsubscribe: Handler = (client, args) => {
  unsubscribeFrom(client, args, "pattern", "punsubscribe");
};

export const pubsubChannels: Handler = ({ context, out }, args) => {
  const names = context.feed.subscriptions.channels(args.argc > 2 ? args.latin1(2) : null);
  out.array(names.length);
  for (const name of names) out.bulk(Buffer.from(name, "latin1"));
};

export const pubsubNumsub: Handler = ({ context, out }, args) => {
  out.map(args.argc - 2);
  for (let index = 2; index < args.argc; index++) {
    out.bulk(args.bytes(index));
    out.integer(context.feed.subscriptions.subscribers(args.latin1(index)));
  }
};

export const pubsubNumpat: Handler = ({ context, out }) => {
  out.integer(context.feed.subscriptions.patterns);
};

/** VWAIT key version timeout: [version, value] as soon as the version is another one, [0, null] when the key is gone, null in time. */
export const vwait: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  const version = integerAt(client, args, 2);
  if (Number.isNaN(version)) return;
  const timeoutMs = integerAt(client, args, 3);
  if (Number.isNaN(timeoutMs)) return;
  if (version < 0 || version > Number.MAX_SAFE_INTEGER) {
    client.out.error(NOT_INTEGER);
    return;
  }
  if (timeoutMs < 1 || timeoutMs > MAX_WAIT_MS) {
    client.out.error(`ERR timeout is from 1 to ${String(MAX_WAIT_MS)} milliseconds`);
    return;
  }
  const { context } = client;
  const { waits } = context.feed;
  if (waits === null || waits.isFull) {
    client.out.error("BUSY too many clients wait for keys, try again later");
    return;
  }
  if (!client.settled()) return;
  client.wait((answer) => {
    waits.add(key, version, timeoutMs, () => context.clients.has(client), answer);
  }, renderWaited);
};
