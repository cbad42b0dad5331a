/**
 * Who may do what on the RESP port. Without users in the configuration everybody is the default user and may do everything,
 * which is why such a port listens on loopback only. With users each connection has to name one first (AUTH, HELLO ... AUTH).
 */
import { createHmac, randomBytes } from "node:crypto";
import { type Role, type UserEntry, verifyPassword } from "../cluster/index.js";
import type { Command } from "./command-table.js";

export interface User {
  readonly name: string;
  readonly role: Role;
}

/** Checking a password takes a core for a while: so many at once, so many more wait, and who comes then is refused. */
const AT_ONCE = 2;
const MOST_WAITING = 64;
/** Passwords that were right are known again without scrypt, by a keyed hash that lives in this process only. */
const MOST_REMEMBERED = 1000;

export const NO_AUTH = "NOAUTH Authentication required.";
const DEFAULT_USER: User = { name: "default", role: "admin" };
const RANK: Readonly<Record<Role, number>> = { read: 0, write: 1, admin: 2 };

export type Verdict = "ok" | "wrong" | "busy";

export class Users {
  #entries: ReadonlyMap<string, UserEntry> = new Map();
  readonly #secret = randomBytes(32);
  readonly #remembered = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(entries: readonly UserEntry[]) {
    this.replace(entries);
  }

  /** The configuration was read anew. */
  replace(entries: readonly UserEntry[]): void {
    const before = this.#entries;
    // Who is as before stays the same object: connections that speak for it may go on.
    this.#entries = new Map(entries.map((entry) => [entry.name, sameAs(entry, before.get(entry.name)) ?? entry]));
    this.#remembered.clear();
  }

  get areConfigured(): boolean {
    return this.#entries.size > 0;
  }

  /** Whom a new connection speaks for; null: it has to say so first. */
  get initial(): User | null {
    return this.areConfigured ? null : DEFAULT_USER;
  }

  /** As it is now; null: there is no such user (any more). */
  find(name: string): User | null {
    return this.areConfigured ? (this.#entries.get(name) ?? null) : DEFAULT_USER;
  }

  /** Later, and once. An unknown name takes as long as a wrong password. */
  verify(name: string, password: string, done: (verdict: Verdict) => void): void {
    const entry = this.#entries.get(name);
    const mark = createHmac("sha256", this.#secret).update(`${name}\0${password}`).digest("base64");
    if (entry !== undefined && this.#remembered.has(mark)) {
      queueMicrotask(() => {
        done("ok");
      });
      return;
    }
    const [any] = this.#entries.values();
    const against = entry ?? any;
    if (against === undefined || this.#waiting.length >= MOST_WAITING) {
      queueMicrotask(() => {
        done(against === undefined ? "wrong" : "busy");
      });
      return;
    }
    const run = (): void => {
      this.#running++;
      const check = async (): Promise<Verdict> => {
        const isRight = await verifyPassword(password, against.password);
        // The configuration may have changed meanwhile.
        if (!isRight || entry === undefined || this.#entries.get(name) !== entry) return "wrong";
        if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
        this.#remembered.add(mark);
        return "ok";
      };
      const finish = (verdict: Verdict): void => {
        this.#running--;
        this.#waiting.shift()?.();
        done(verdict);
      };
      check().then(finish, () => {
        finish("busy"); // no memory for scrypt
      });
    };
    if (this.#running < AT_ONCE) run();
    else this.#waiting.push(run);
  }
}

function sameAs({ role, password }: UserEntry, old: UserEntry | undefined): UserEntry | null {
  if (old === undefined || old.role !== role) return null;
  return old.password.hash.equals(password.hash) && old.password.salt.equals(password.salt) ? old : null;
}

export function mayDo(user: User, role: Role): boolean {
  return RANK[user.role] >= RANK[role];
}

/** What a role has to be at the least to run the command. */
function leastRole({ spec: { flags } }: Command): Role {
  if (flags.includes("admin")) return "admin";
  return flags.includes("write") ? "write" : "read";
}

/** Null: it may. */
export function denial(user: User | null, command: Command): string | null {
  if (command.spec.flags.includes("no_auth")) return null;
  if (user === null) return NO_AUTH;
  if (mayDo(user, leastRole(command))) return null;
  return `NOPERM User ${user.name} has no permissions to run the '${command.spec.name}' command`;
}
