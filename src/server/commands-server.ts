/** Commands about the server as a whole: INFO, TIME, SHUTDOWN, and DEBUG, which is off. */
import type { Handler } from "./client.js";
import { infoText } from "./info.js";
import { SYNTAX_ERROR } from "./replies.js";

export const info: Handler = (client, args) => {
  const sections: string[] = [];
  for (let index = 1; index < args.argc; index++) sections.push(args.latin1(index).toLowerCase());
  client.out.verbatim(infoText(client.context, sections));
};

export const time: Handler = (client) => {
  const nowUs = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  client.out.array(2);
  client.out.text(String(Math.floor(nowUs / 1_000_000)));
  client.out.text(String(nowUs % 1_000_000));
};

const SHUTDOWN_WORDS = ["nosave", "save", "now", "force"];

/** Everything is durable anyway, so that the ways to shut down are one. There is no reply: the connection ends. */
export const shutdown: Handler = (client, args) => {
  if (args.argc === 2 && args.is(1, "abort")) {
    client.out.error("ERR No shutdown in progress.");
    return;
  }
  for (let index = 1; index < args.argc; index++) {
    if (SHUTDOWN_WORDS.some((word) => args.is(index, word))) continue;
    client.out.error(SYNTAX_ERROR);
    return;
  }
  client.context.shutdown();
  client.quit();
};

export const debug: Handler = (client) => {
  client.out.error("ERR DEBUG command not allowed.");
};
