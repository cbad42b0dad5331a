/**
 * Who wants to hear of which channels: SUBSCRIBE and PSUBSCRIBE. The only one who says something there is the server itself
 * (change-feed.ts). Bounded per client; a client that does not read what it is sent misses messages, and that is counted.
 */
import type { Client } from "./client.js";
import { globMatches } from "./glob.js";

/** Channels and patterns of one client. */
export const MAX_SUBSCRIPTIONS = 1024;

export type SubscriptionKind = "channel" | "pattern";

interface Wanted {
  readonly channel: Set<string>;
  readonly pattern: Set<string>;
}

export class Subscriptions {
  readonly #wanted = new Map<Client, Wanted>();
  readonly #channels = new Map<string, Set<Client>>();
  readonly #patterns = new Map<string, Set<Client>>();

  /** Nobody wants to hear of anything. */
  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  get clients(): number {
    return this.#wanted.size;
  }

  /** Of one client. */
  count(client: Client): number {
    const wanted = this.#wanted.get(client);
    return wanted === undefined ? 0 : wanted.channel.size + wanted.pattern.size;
  }

  namesOf(client: Client, kind: SubscriptionKind): readonly string[] {
    return [...(this.#wanted.get(client)?.[kind] ?? [])];
  }

  /** False: it has too many. */
  add(client: Client, kind: SubscriptionKind, name: string): boolean {
    const wanted = this.#wanted.get(client) ?? { channel: new Set<string>(), pattern: new Set<string>() };
    if (wanted[kind].has(name)) return true;
    if (this.count(client) >= MAX_SUBSCRIPTIONS) return false;
    this.#wanted.set(client, wanted);
    wanted[kind].add(name);
    const all = this.#of(kind);
    const clients = all.get(name) ?? new Set<Client>();
    all.set(name, clients.add(client));
    return true;
  }

  remove(client: Client, kind: SubscriptionKind, name: string): void {
    const wanted = this.#wanted.get(client);
    if (wanted?.[kind].delete(name) !== true) return;
    if (this.count(client) === 0) this.#wanted.delete(client);
    const all = this.#of(kind);
    const clients = all.get(name);
    clients?.delete(client);
    if (clients?.size === 0) all.delete(name);
  }

  /** It is gone, or wants to hear of nothing any more. */
  forget(client: Client): void {
    for (const kind of ["channel", "pattern"] as const) {
      for (const name of this.namesOf(client, kind)) this.remove(client, kind, name);
    }
  }

  /** Channels that somebody subscribed to by name. */
  channels(pattern: string | null): readonly string[] {
    return [...this.#channels.keys()].filter((name) => pattern === null || globMatches(pattern, name));
  }

  subscribers(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  get patterns(): number {
    return this.#patterns.size;
  }

  /** Calls `tell` for everybody who wants to hear of the channel; once for each pattern that fits, with that. */
  reach(channel: string, tell: (client: Client, pattern: string | null) => void): void {
    for (const client of this.#channels.get(channel) ?? []) tell(client, null);
    for (const [pattern, clients] of this.#patterns) {
      if (!globMatches(pattern, channel)) continue;
      for (const client of clients) tell(client, pattern);
    }
  }

  #of(kind: SubscriptionKind): Map<string, Set<Client>> {
    return kind === "channel" ? this.#channels : this.#patterns;
  }
}
