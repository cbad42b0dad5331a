/**
 * Keys over HTTP, for people without a Redis client: /v1/keys/NAME, with the version of a value as its ETag, so that
 * If-Match and If-None-Match are what VSET and NX are. Reads and writes are as strong as any. Names are percent-encoded bytes, values
 * the body as it is, or JSON where JSON is asked for.
 *
 * Who may: without users everybody who reaches the port, which is this machine or who has a certificate; with users Basic
 * authentication and roles. A web page in somebody's browser reaches this machine too: nothing is changed by GET or POST, and a Host
 * that is a name other than localhost is refused, so that a page can neither send such a request unasked nor read an answer. With TLS
 * any name will do: a page's own name is not the certificate's.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { type Key, userKey } from "../base/key.js";
import type { ReplySink } from "../node/service.js";
import {
  type Condition,
  NO_EXPIRY,
  type Operation,
  type ReadOutcome,
  type RefuseCode,
  type WriteOutcome,
} from "../paxos/operation.js";
import type { ServerContext } from "./server-context.js";
import { mayDo, type User } from "./users.js";

export const KEYS_PATH = "/v1/keys/";

const JSON_TYPE = "application/json";
const BYTES_TYPE = "application/octet-stream";
const METHODS = "GET, HEAD, PUT, DELETE";
/** Nobody needs a connection for longer: who still wants to wait asks again. */
const MAX_WAIT_MS = 60_000;
/** Beyond it there is no date; deadlines may be. */
const LAST_DATE_MS = 8.64e15;
const ETAG = /^"(\d{1,16})"$/;

/** What is said in place of a value. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  /** Of a write: what became of it. */
  readonly outcome: "not-applied" | "unknown" | undefined;

  constructor(status: number, code: string, message: string, outcome?: "not-applied" | "unknown") {
    super(message);
    this.status = status;
    this.code = code;
    this.outcome = outcome;
  }
}

const STATUS_OF: Readonly<Record<RefuseCode, number>> = {
  NOQUORUM: 503,
  BUSY: 503,
  LOADING: 503,
  FAILED: 503,
  DISKFULL: 507,
  CORRUPT: 500,
  ELSEWHERE: 421,
};

/** Answers of the node, each to the request that waits for it. */
class Waiting implements ReplySink {
  readonly #writes = new Map<number, (outcome: WriteOutcome) => void>();
  readonly #reads = new Map<number, (outcome: ReadOutcome) => void>();
  #last = 0;

  forWrite(told: (outcome: WriteOutcome) => void): number {
    this.#writes.set(++this.#last, told);
    return this.#last;
  }

  forRead(told: (outcome: ReadOutcome) => void): number {
    this.#reads.set(++this.#last, told);
    return this.#last;
  }

  onWrite(tag: number, outcome: WriteOutcome): void {
    const told = this.#writes.get(tag);
    this.#writes.delete(tag);
    told?.(outcome);
  }

  onRead(tag: number, outcome: ReadOutcome): void {
    const told = this.#reads.get(tag);
    this.#reads.delete(tag);
    told?.(outcome);
  }
}

export class HttpKeys {
  readonly #context: ServerContext;
  readonly #waiting = new Waiting();

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Answers the request, whatever becomes of it. */
  async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#checkHost(request);
      const key = this.#keyOf(request);
      const user = await this.#userOf(request);
      switch (request.method) {
        case "GET":
        case "HEAD":
          await this.#get(key, request, response);
          return;
        case "PUT":
          this.#checkWriter(user);
          await this.#put(key, request, response);
          return;
        case "DELETE":
          this.#checkWriter(user);
          await this.#delete(key, request, response);
          return;
        default:
          response.setHeader("allow", METHODS);
          throw new Refusal(405, "ERR", `there are ${METHODS}`);
      }
    } catch (error) {
      refuse(request, response, error);
    }
  }

  /** A browser that was led here by a name that somebody else owns sends that name. */
  #checkHost({ headers }: IncomingMessage): void {
    const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    if (this.#context.config.httpTls !== null || host === "localhost" || isIP(host) !== 0) return;
    throw new Refusal(403, "ERR", "name this machine by its address or as localhost");
  }

  #keyOf(request: IncomingMessage): Key {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const name = bytesOfName(path.slice(KEYS_PATH.length));
    if (name === null) throw new Refusal(400, "ERR", "a key is written as percent-encoded bytes: /v1/keys/user%3A1");
    const { maxKeyBytes } = this.#context.limits;
    if (name.length > maxKeyBytes) throw new Refusal(414, "ERR", `a key has at most ${String(maxKeyBytes)} bytes`);
    return userKey(name);
  }

  async #userOf({ headers }: IncomingMessage): Promise<User> {
    const { users } = this.#context;
    if (users.initial !== null) return users.initial;
    const [, coded = ""] = /^basic +([A-Za-z0-9+/=]+)$/i.exec(headers.authorization ?? "") ?? [];
    const said = Buffer.from(coded, "base64").toString("latin1");
    const colon = said.indexOf(":");
    if (colon < 0) throw new Refusal(401, "NOAUTH", "Authentication required");
    const name = said.slice(0, colon);
    const verdict = await new Promise<string>((resolve) => {
      users.verify(name, said.slice(colon + 1), resolve);
    });
    if (verdict === "busy") throw new Refusal(503, "BUSY", "too many passwords are being checked");
    const user = users.find(name);
    if (verdict === "ok" && user !== null) return user;
    this.#context.counters.failedHandshakes++;
    throw new Refusal(401, "WRONGPASS", "invalid username-password pair");
  }

  #checkWriter(user: User): void {
    if (mayDo(user, "write")) return;
    throw new Refusal(403, "NOPERM", `user ${user.name} may not write`, "not-applied");
  }

  async #get(key: Key, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const outcome = (await this.#changed(key, request, response)) ?? (await this.#read(key));
    if (outcome.status === "refused") throw new Refusal(STATUS_OF[outcome.code], outcome.code, outcome.message);
    if (!outcome.found) throw new Refusal(404, "ABSENT", "there is no such key");
    const { value, version, expiryMs } = outcome;
    response.setHeader("etag", `"${String(version)}"`);
    if (expiryMs !== NO_EXPIRY && expiryMs <= LAST_DATE_MS) {
      response.setHeader("expires", new Date(expiryMs).toUTCString());
    }
    if (tagsOf(request.headers["if-none-match"])?.includes(version) === true) {
      end(request, response, 304, BYTES_TYPE, Buffer.alloc(0));
    } else if ((request.headers.accept ?? "").includes(JSON_TYPE)) {
      const expiresAtMs = expiryMs === NO_EXPIRY ? null : expiryMs;
      end(
        request,
        response,
        200,
        JSON_TYPE,
        Buffer.from(JSON.stringify({ ...jsonValue(value), version, expiresAtMs })),
      );
    } else {
      end(request, response, 200, BYTES_TYPE, Buffer.from(value.buffer, value.byteOffset, value.length));
    }
  }

  /** ?waitMs=N with If-None-Match: "VERSION" (or "0": there was no such key): what it is when it is another one. Null: not asked for, or not in time. */
  async #changed(key: Key, request: IncomingMessage, response: ServerResponse): Promise<ReadOutcome | null> {
    const query = new URLSearchParams((request.url ?? "").split("?", 2)[1] ?? "");
    const digits = query.get("waitMs");
    if (digits === null) return null;
    const [version, ...more] = tagsOf(request.headers["if-none-match"]) ?? [];
    const waitMs = /^\d{1,7}$/.test(digits) ? Number(digits) : 0;
    if (version === undefined || more.length > 0 || waitMs < 1 || waitMs > MAX_WAIT_MS) {
      const text = `?waitMs=1 to ${String(MAX_WAIT_MS)} waits with If-None-Match: "VERSION" until the version is another one`;
      throw new Refusal(400, "ERR", text);
    }
    const { waits } = this.#context.feed;
    if (waits === null) throw loading();
    if (waits.isFull) throw new Refusal(503, "BUSY", "too many wait for keys, try again later");
    return new Promise((resolve) => {
      waits.add(key, version, waitMs, () => !response.destroyed, resolve);
    });
  }

  async #put(key: Key, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const condition = conditionOf(request);
    const expiryMs = expiryOf(request);
    const body = await this.#bodyOf(request);
    const value = (request.headers["content-type"] ?? "").startsWith(JSON_TYPE) ? valueOfJson(body) : body;
    if (value.length > this.#context.limits.maxValueBytes) throw this.#tooLarge();
    const operation: Operation = { kind: "set", value, expiryMs, condition, returnOld: false };
    const { version } = await this.#write(key, operation, value.length);
    response.setHeader("etag", `"${String(version)}"`);
    end(request, response, 200, JSON_TYPE, Buffer.from(JSON.stringify({ version })));
  }

  async #delete(key: Key, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation: Operation = { kind: "remove", condition: conditionOf(request), returnOld: false };
    const { result } = await this.#write(key, operation, 0);
    if (result === 0) throw new Refusal(404, "ABSENT", "there is no such key", "not-applied");
    end(request, response, 204, JSON_TYPE, Buffer.alloc(0));
  }

  #admit(bytes: number): void {
    const { admission, limits, inFlightBytes } = this.#context;
    admission.look(this.#context.nowUs());
    if (admission.hasRoom && inFlightBytes + bytes <= limits.maxInFlightBytes) return;
    this.#context.counters.busy++;
    throw new Refusal(503, "BUSY", "too many requests are under way, try again later", "not-applied");
  }

  async #read(key: Key): Promise<ReadOutcome> {
    const { service, admission, counters, readLatency } = this.#context;
    if (service === null) throw loading();
    this.#admit(0);
    const sinceUs = this.#context.nowUs();
    this.#context.hotKeys.note(key);
    admission.begin();
    const outcome = await new Promise<ReadOutcome>((resolve) => {
      service.read(key, this.#waiting, this.#waiting.forRead(resolve));
    });
    admission.end();
    readLatency.record(this.#context.nowUs() - sinceUs);
    if (outcome.status === "ok") {
      if (outcome.found) counters.readHits++;
      else counters.readMisses++;
    }
    return outcome;
  }

  async #write(key: Key, operation: Operation, bytes: number) {
    const { service, admission, writeLatency } = this.#context;
    if (service === null) throw loading();
    this.#admit(bytes);
    const sinceUs = this.#context.nowUs();
    this.#context.hotKeys.note(key);
    admission.begin();
    this.#context.inFlightBytes += bytes;
    const outcome = await new Promise<WriteOutcome>((resolve) => {
      service.write(key, operation, this.#waiting, this.#waiting.forWrite(resolve));
    });
    admission.end();
    this.#context.inFlightBytes -= bytes;
    writeLatency.record(this.#context.nowUs() - sinceUs);
    if (outcome.status === "ok") return outcome;
    if (outcome.status === "unknown") throw new Refusal(504, "UNKNOWN", outcome.message, "unknown");
    if (outcome.status === "not-applied") {
      throw new Refusal(STATUS_OF[outcome.code], outcome.code, outcome.message, "not-applied");
    }
    if (outcome.reason === "too-large") throw new Refusal(413, "ERR", "the value is too large", "not-applied");
    // Of a deletion without a condition there is nothing else that could have failed.
    if (operation.kind === "remove" && operation.condition.kind === "none") {
      throw new Refusal(404, "ABSENT", "there is no such key", "not-applied");
    }
    const version = outcome.version > 0 ? `the key has version ${String(outcome.version)}` : "there is no such key";
    throw new Refusal(412, "VERSION", version, "not-applied");
  }

  #tooLarge(): Refusal {
    const most = String(this.#context.limits.maxValueBytes);
    return new Refusal(413, "ERR", `a value has at most ${most} bytes`, "not-applied");
  }

  /** No memory by an announced length, and no more than a value may have; all bodies together have their bound too. */
  async #bodyOf(request: IncomingMessage): Promise<Buffer> {
    const context = this.#context;
    const { maxValueBytes, maxPartialBytes } = context.limits;
    // JSON takes more than the value: a character may be written with six.
    const most = (request.headers["content-type"] ?? "").startsWith(JSON_TYPE)
      ? 6 * maxValueBytes + 4096
      : maxValueBytes;
    const parts: Buffer[] = [];
    let bytes = 0;
    try {
      // Who is refused in the middle is told so: the connection stays until then.
      for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += part.length;
        context.partialBytes += part.length;
        if (bytes > most) throw this.#tooLarge();
        if (context.partialBytes > maxPartialBytes) {
          throw new Refusal(503, "BUSY", "too much is being received, try again later", "not-applied");
        }
        parts.push(part);
      }
    } finally {
      context.partialBytes -= bytes;
    }
    return Buffer.concat(parts);
  }
}

function loading(): Refusal {
  return new Refusal(503, "LOADING", "the node is recovering its data", "not-applied");
}

function end(request: IncomingMessage, response: ServerResponse, status: number, type: string, body: Buffer): void {
  const length = status === 204 || status === 304 ? {} : { "content-length": String(body.length) };
  response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...length });
  response.end(request.method === "HEAD" ? "" : body);
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refusal)) {
    response.destroy();
    // The caller went away while its body came: nobody waits for an answer. Anything else is our own mistake.
    if (request.destroyed && !request.complete) return;
    throw error;
  }
  const { status, code, message, outcome } = error;
  if (status === 401) response.setHeader("www-authenticate", 'Basic realm="plogdb", charset="UTF-8"');
  if (status === 503) response.setHeader("retry-after", "1");
  // A body that is not wanted is not read to its end.
  if (!request.complete) response.setHeader("connection", "close");
  const shown = request.method === "GET" || request.method === "HEAD" || outcome === undefined ? {} : { outcome };
  end(request, response, status, JSON_TYPE, Buffer.from(JSON.stringify({ error: code, message, ...shown })));
}

/** One character a byte; null: it is not written as it should be. */
function bytesOfName(text: string): string | null {
  if (!/^(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})+$/.test(text)) return null;
  return text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/** Versions of a list of entity tags; null: there is none, or it is not one of ours. */
function tagsOf(header: string | undefined): readonly number[] | null {
  if (header === undefined) return null;
  const tags = header.split(",").map((tag) => ETAG.exec(tag.trim())?.[1]);
  return tags.every((tag) => tag !== undefined) ? tags.map(Number) : null;
}

/** If-Match: "7" = only that version; * = only if there is one. If-None-Match: * = only if there is none. */
function conditionOf({ headers }: IncomingMessage): Condition {
  const match = headers["if-match"];
  const noneMatch = headers["if-none-match"];
  if (match === undefined && noneMatch === undefined) return { kind: "none" };
  if (match !== undefined && noneMatch !== undefined) throw badCondition();
  if (match === "*") return { kind: "present" };
  if (noneMatch === "*") return { kind: "absent" };
  const [version, ...more] = (match === undefined ? null : tagsOf(match)) ?? [];
  if (version === undefined || more.length > 0 || !Number.isSafeInteger(version)) throw badCondition();
  return { kind: "version", version };
}

function badCondition(): Refusal {
  const text = 'a write takes If-Match: "VERSION", If-Match: * or If-None-Match: *, one of them';
  return new Refusal(400, "ERR", text, "not-applied");
}

/** ?ttlMs=N or ?expiresAtMs=N. */
function expiryOf(request: IncomingMessage): number {
  const query = new URLSearchParams((request.url ?? "").split("?", 2)[1] ?? "");
  const [name, ...more] = [...query.keys()];
  if (name === undefined) return NO_EXPIRY;
  const digits = query.get(name) ?? "";
  const count = /^\d{1,15}$/.test(digits) ? Number(digits) : 0;
  if (more.length === 0 && count > 0 && name === "ttlMs") return Date.now() + count;
  if (more.length === 0 && count > 0 && name === "expiresAtMs") return count;
  throw new Refusal(
    400,
    "ERR",
    "a query is ?ttlMs=MILLISECONDS or ?expiresAtMs=MILLISECONDS-SINCE-1970",
    "not-applied",
  );
}

/** Text where the bytes are UTF-8, else base64. */
function jsonValue(bytes: Uint8Array): { readonly value: string; readonly encoding: "utf-8" | "base64" } {
  try {
    return { value: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), encoding: "utf-8" };
  } catch {
    return { value: Buffer.from(bytes).toString("base64"), encoding: "base64" };
  }
}

/** { "value": "...", "encoding": "utf-8" (default) or "base64" } */
function valueOfJson(body: Buffer): Buffer {
  const wrong = (text: string): Refusal => new Refusal(400, "ERR", `the body: ${text}`, "not-applied");
  let said: unknown;
  try {
    said = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw wrong("is no JSON");
  }
  if (typeof said !== "object" || said === null) throw wrong('is no object with "value"');
  const { value, encoding = "utf-8", ...more } = said as Record<string, unknown>;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) throw wrong(`${JSON.stringify(unknown.slice(0, 64))} is not known`);
  if (typeof value !== "string") throw wrong('"value" is text');
  if (encoding === "utf-8") return Buffer.from(value, "utf8");
  if (encoding !== "base64") throw wrong('"encoding" is "utf-8" or "base64"');
  const bytes = Buffer.from(value, "base64");
  if (bytes.toString("base64") !== value) throw wrong('"value" is not base64 with padding');
  return bytes;
}
