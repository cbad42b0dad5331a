/**
 * Deadlines: setting, dropping and asking for them. A relative time becomes absolute here, once; what it decides is
 * decided where the key's next entry is proposed.
 */
import type { ExpiryRule } from "../paxos/operation.js";
import { deadlineOf, digitsAt, invalidExpire, keyAt, type TimeForm } from "./arguments.js";
import type { Handler } from "./client.js";
import {
  cString,
  NOT_INTEGER,
  renderApplied,
  renderExpireTime,
  renderPExpireTime,
  renderPttl,
  renderTtl,
} from "./replies.js";
import type { ReplyWriter } from "./reply-writer.js";
import type { Renderer } from "./slot.js";
import type { Arguments } from "./stored-arguments.js";

function expireCommand(command: string, form: TimeForm): Handler {
  return (client, args) => {
    const key = keyAt(client, args, 1);
    if (key === null) return;
    const rule = ruleFrom(client.out, args, 3);
    if (rule === "refused") return;
    const digits = digitsAt(args, 2);
    if (digits === null) {
      client.out.error(NOT_INTEGER);
      return;
    }
    const expiryMs = deadlineOf(digits, form);
    if (expiryMs === null) invalidExpire(client.out, command);
    else
      client.write(
        key,
        rule === null ? { kind: "expire", expiryMs } : { kind: "expire-if", expiryMs, rule },
        renderApplied,
      );
  };
}

/** NX, XX, GT and LT from argument `index` on; null without any. */
function ruleFrom(out: ReplyWriter, args: Arguments, index: number): ExpiryRule | null | "refused" {
  const said = { nx: false, xx: false, gt: false, lt: false };
  for (let at = index; at < args.argc; at++) {
    const word = (["nx", "xx", "gt", "lt"] as const).find((name) => args.is(at, name));
    if (word === undefined) {
      out.error(`ERR Unsupported option ${cString(args.latin1(at))}`);
      return "refused";
    }
    said[word] = true;
  }
  const { nx, xx, gt, lt } = said;
  if (nx && (xx || gt || lt)) {
    out.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return "refused";
  }
  if (gt && lt) {
    out.error("ERR GT and LT options at the same time are not compatible");
    return "refused";
  }
  if (nx) return "without";
  if (gt) return "later"; // which takes a deadline to be later than, so that XX adds nothing
  if (lt) return xx ? "with-sooner" : "sooner";
  return xx ? "with" : null;
}

export const expire: Handler = expireCommand("expire", { unitMs: 1000, from: "now" });
export const pexpire: Handler = expireCommand("pexpire", { unitMs: 1, from: "now" });
export const expireat: Handler = expireCommand("expireat", { unitMs: 1000, from: "epoch" });
export const pexpireat: Handler = expireCommand("pexpireat", { unitMs: 1, from: "epoch" });

export const persist: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key !== null) client.write(key, { kind: "persist" }, renderApplied);
};

function deadlineCommand(render: Renderer): Handler {
  return (client, args) => {
    const key = keyAt(client, args, 1);
    if (key !== null) client.read(key, render);
  };
}

export const ttl: Handler = deadlineCommand(renderTtl);
export const pttl: Handler = deadlineCommand(renderPttl);
export const expiretime: Handler = deadlineCommand(renderExpireTime);
export const pexpiretime: Handler = deadlineCommand(renderPExpireTime);
