/**
 * Changes of keys as they become known to this node: keyspace notifications for subscribers (as Redis names them), and those who
 * wait for a key (key-waits.ts). What is told is that a key was changed, not by which command: "set", or "del" when it is gone,
 * whether it was deleted or has expired. At most once each; of several changes that came at once the latest.
 */
import { clientBytes, type Key } from "../base/key.js";
import type { KeyService } from "../node/service.js";
import type { Client } from "./client.js";
import { KeyWaits } from "./key-waits.js";
import type { ReplyWriter } from "./reply-writer.js";
import { Subscriptions } from "./subscriptions.js";

/** Which notifications there are: K = by key, E = by event; "$" = set, "g" = del. */
export interface NotifiedEvents {
  readonly keyspace: boolean;
  readonly keyevent: boolean;
  readonly set: boolean;
  readonly del: boolean;
}

/** "A" stands for all but the first two. */
const EVENT_TEXT = /^[KEAg$lshzxetdmn]*$/;

/** As Redis reads notify-keyspace-events; null: a letter that it does not know. */
export function parseEvents(text: string): NotifiedEvents | null {
  if (!EVENT_TEXT.test(text)) return null;
  const has = (letter: string): boolean => text.includes(letter) || text.includes("A");
  return { keyspace: text.includes("K"), keyevent: text.includes("E"), set: has("$"), del: has("g") };
}

export const NO_EVENTS: NotifiedEvents = { keyspace: false, keyevent: false, set: false, del: false };

interface FeedHost {
  /** For messages. */
  readonly scratch: ReplyWriter;
  /** Somebody did not read fast enough, and missed one. */
  onMissed(): void;
}

export class ChangeFeed {
  readonly subscriptions = new Subscriptions();
  events: NotifiedEvents = NO_EVENTS;
  /** Null until the node is there. */
  waits: KeyWaits | null = null;
  readonly #host: FeedHost;

  constructor(host: FeedHost) {
    this.#host = host;
  }

  attach(service: KeyService): void {
    const waits = new KeyWaits(service);
    this.waits = waits;
    service.listen((key, version, live) => {
      waits.onChange(key, version, live);
      if (!this.subscriptions.isEmpty) this.#notify(key, live);
    });
  }

  /** Who waits is told that nothing happened; nobody may wait any more. */
  close(): void {
    this.waits?.close();
    this.waits = null;
  }

  #notify(key: Key, live: boolean): void {
    const { keyspace, keyevent, set, del } = this.events;
    if (live ? !set : !del) return;
    const event = live ? "set" : "del";
    const name = clientBytes(key);
    if (keyspace) this.#publish(`__keyspace@0__:${name}`, event);
    if (keyevent) this.#publish(`__keyevent@0__:${event}`, name);
  }

  /** Both of one character a byte. */
  #publish(channel: string, message: string): void {
    this.subscriptions.reach(channel, (client, pattern) => {
      if (!client.push(this.#messageFor(client, pattern, channel, message))) this.#host.onMissed();
    });
  }

  #messageFor(client: Client, pattern: string | null, channel: string, message: string): Uint8Array {
    const { scratch } = this.#host;
    scratch.resp3 = client.resp3;
    const parts = pattern === null ? ["message", channel, message] : ["pmessage", pattern, channel, message];
    scratch.push(parts.length);
    for (const part of parts) scratch.bulk(Buffer.from(part, "latin1"));
    return scratch.take();
  }
}
