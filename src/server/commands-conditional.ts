/** Deleting on a condition, deleting what is returned, and the digest that conditions can name instead of a value. */
import { xxh3 } from "../base/xxh3.js";
import { keyAt } from "./arguments.js";
import type { Handler } from "./client.js";
import { renderApplied, renderOldValue, renderRead, SYNTAX_ERROR } from "./replies.js";
import { ALWAYS, BAD_DIGEST, readCondition } from "./set-options.js";

export const getdel: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key !== null) client.write(key, { kind: "remove", condition: ALWAYS, returnOld: true }, renderOldValue);
};

/** DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]. */
export const delex: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  const condition = args.argc === 2 ? ALWAYS : args.argc === 4 ? readCondition(args, 2) : null;
  if (condition === null) client.out.error(SYNTAX_ERROR);
  else if (condition === "digest") client.out.error(BAD_DIGEST);
  else client.write(key, { kind: "remove", condition, returnOld: false }, renderApplied);
};

export const delifeq: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  client.write(
    key,
    { kind: "remove", condition: { kind: "equal", value: args.bytes(2) }, returnOld: false },
    renderApplied,
  );
};

export const digest: Handler = (client, args) => {
  const key = keyAt(client, args, 1);
  if (key === null) return;
  client.read(
    key,
    renderRead((out, read) => {
      if (read.found) out.text(xxh3(read.value));
      else out.null();
    }),
  );
};
