/**
 * Deadlines: setting, dropping and asking for them. A relative time becomes absolute here, once; what it decides is
 * decided where the key's next entry is proposed. The NX, XX, GT and LT forms of EXPIRE are not in this version.
 */
import { deadlineOf, integerAt, keyAt, type TimeForm } from "./arguments.js";
import type { Handler } from "./client.js";
import { renderApplied, renderExpireTime, renderPExpireTime, renderPttl, renderTtl } from "./replies.js";
import type { Renderer } from "./slot.js";

function expireCommand(command: string, form: TimeForm): Handler {
  return (client, args) => {
    const key = keyAt(client, args, 1);
    if (key === null) return;
    const amount = integerAt(client, args, 2);
    if (Number.isNaN(amount)) return;
    if (args.argc > 3) {
      client.out.error(`ERR Unsupported option ${args.latin1(3)}`);
      return;
    }
    const expiryMs = deadlineOf(client, amount, form, command);
    if (!Number.isNaN(expiryMs)) client.write(key, { kind: "expire", expiryMs }, renderApplied);
  };
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
