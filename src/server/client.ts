/**
 * What a command sees of the connection it came from. A handler either writes its reply to `out`, or hands operations
 * to the node with one of the issuing calls and leaves; it must not do both, and must change nothing before an issuing
 * call, because a command that has to wait for an earlier one on the same key is run again from the start.
 */
import type { KeyService } from "../node/service.js";
import type { Key } from "../base/key.js";
import type { Operation, ReadOutcome } from "../paxos/operation.js";
import type { Command } from "./command-table.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Arguments } from "./stored-arguments.js";
import type { ServerContext } from "./server-context.js";
import type { Keeping, Renderer } from "./slot.js";
import type { Transaction, Watch } from "./transaction.js";
import type { User } from "./users.js";

export type ReplyMode = "on" | "off" | "skip" | "skipping";

export interface Client {
  readonly id: number;
  readonly context: ServerContext;
  /** For replies that are known at once. */
  readonly out: ReplyWriter;
  /** True after HELLO 3. */
  resp3: boolean;
  replyMode: ReplyMode;
  /** Between MULTI and EXEC or DISCARD. */
  transaction: Transaction | null;
  /** The key of WATCH, and what it was like. */
  watch: Watch | null;
  /** The command that runs. */
  command: Command | null;
  name: string;
  libName: string;
  libVersion: string;
  readonly lastCommand: string;
  /** Who it speaks for; null: nobody yet, and all but AUTH and its like is refused. */
  readonly user: User | null;
  /** A password is being checked: what came behind it waits. */
  readonly authenticating: boolean;
  beginAuthentication(): void;
  /** `user`: whom it speaks for from now on; undefined: for the same as before. */
  endAuthentication(user?: User | null): void;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
  /** Bytes received that are not a whole command yet, and replies that wait. */
  readonly pendingInputBytes: number;
  readonly pendingOutputBytes: number;
  readonly pendingReplies: number;
  /** Since when nothing came. */
  readonly lastInputMs: number;

  read(key: Key, render: Renderer): void;
  write(key: Key, operation: Operation, render: Renderer): void;
  readMany(keys: readonly Key[], render: Renderer, keeping?: Keeping): void;
  /** `operations` one per key. */
  writeMany(keys: readonly Key[], operations: readonly Operation[], render: Renderer): void;
  inspect(key: Key, render: Renderer): void;
  /** Asks the node for something that it answers later, and once, in its own words. */
  askNode(begin: (service: KeyService, answer: (text: string) => void) => void, render: Renderer): void;
  /** For an answer that the server itself gives later, and once. */
  later(begin: (answer: (text: string) => void) => void, render: Renderer): void;
  /** For what a client waits for on purpose: how long it takes is no latency of the server's. */
  wait(begin: (answer: (outcome: ReadOutcome | null) => void) => void, render: Renderer): void;
  /** False: earlier commands of this connection are still under way, and the command will be run again after them. */
  settled(): boolean;
  /** The connection ends when everything up to this command was answered. */
  quit(): void;
  /** The connection ends at once. */
  destroy(): void;
  /** Adds bytes that answer no command. False: too much waits already, and they were dropped. */
  push(bytes: Uint8Array): boolean;
}

export type Handler = (client: Client, args: Arguments) => void;
