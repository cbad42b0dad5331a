/** Commands about the server: INFO, CONFIG, DBSIZE, TIME. The configuration is read at start and cannot be changed here. */
import { isLoopback } from "../cluster/units.js";
import type { Handler } from "./client.js";
import { globMatches } from "./glob.js";
import { infoText } from "./info.js";
import type { ServerContext } from "./server-context.js";

export const info: Handler = (client, args) => {
  const sections: string[] = [];
  for (let index = 1; index < args.argc; index++) sections.push(args.latin1(index).toLowerCase());
  client.out.verbatim(infoText(client.context, sections));
};

export const dbsize: Handler = (client) => {
  // Counted after what this connection wrote before.
  if (client.settled()) client.out.integer(client.context.service?.countKeys() ?? 0);
};

export const time: Handler = (client) => {
  const nowMs = Date.now();
  const nowUs = Math.floor((performance.timeOrigin + performance.now()) * 1000) % 1_000_000;
  client.out.array(2);
  client.out.text(String(Math.floor(nowMs / 1000)));
  client.out.text(String(nowUs));
};

/** What CONFIG GET answers: what clients and tools ask for, as far as it has a meaning here. */
function parameters(context: ServerContext): readonly (readonly [name: string, value: string])[] {
  const { config, limits } = context;
  return [
    ["appendfsync", config.storage.durability === "flush" ? "always" : "no"],
    ["appendonly", "yes"],
    ["bind", config.listen.host],
    ["cluster-enabled", "no"],
    ["databases", "1"],
    ["maxclients", String(limits.maxClients)],
    ["maxmemory", "0"],
    ["maxmemory-policy", "noeviction"],
    ["port", String(context.port)],
    ["proto-max-bulk-len", String(limits.maxValueBytes)],
    ["protected-mode", isLoopback(config.listen.host) ? "yes" : "no"],
    ["save", ""],
    ["tcp-keepalive", "300"],
    ["timeout", String(Math.floor(limits.idleMs / 1000))],
  ];
}

export const configGet: Handler = (client, args) => {
  const patterns: string[] = [];
  for (let index = 2; index < args.argc; index++) patterns.push(args.latin1(index).toLowerCase());
  const found = parameters(client.context).filter(([name]) => patterns.some((pattern) => globMatches(pattern, name)));
  client.out.map(found.length);
  for (const [name, value] of found) {
    client.out.text(name);
    client.out.text(value);
  }
};

export const configSet: Handler = (client, args) => {
  const name = args.latin1(2).toLowerCase();
  const known = parameters(client.context).some(([parameter]) => parameter === name);
  if (known && args.argc % 2 === 0) {
    client.out.error(`ERR CONFIG SET failed (possibly related to argument '${name}') - can't set immutable config`);
  } else {
    client.out.error(`ERR Unknown option or number of arguments for CONFIG SET - '${args.latin1(2)}'`);
  }
};
