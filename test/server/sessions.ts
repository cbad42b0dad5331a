/**
 * Sessions: lines of commands with the replies they must get, played against a server over a service in memory, one by one and
 * all in one pipeline. With short ways to write replies.
 */
import { describe, expect, it } from "vitest";
import { startTestServer } from "./harness.js";
import type { Reply } from "./wire.js";

export const OK: Reply = { simple: "OK" };
export const bulk = (text: string): Reply => ({ bulk: text });
export const error = (text: string): Reply => ({ error: text });
export const NOT_INTEGER = error("ERR value is not an integer or out of range");
export const SYNTAX = error("ERR syntax error");
export const arity = (name: string): Reply => error(`ERR wrong number of arguments for '${name}' command`);

export type Step = readonly [command: string, reply: Reply];
export type Session = readonly [claim: string, steps: readonly Step[]];

/** Words are split at spaces; "" stands for an empty argument. */
function words(command: string): string[] {
  return command.split(" ").map((word) => (word === '""' ? "" : word));
}

export function playSessions(what: string, sessions: readonly Session[]): void {
  describe(what, () => {
    it.each(sessions)("%s", async (_claim, steps) => {
      const { connect } = await startTestServer();
      const client = connect();
      for (const [command, reply] of steps) {
        expect([command, await client.ask(...words(command))]).toEqual([command, reply]);
      }
    });

    it.each(sessions)("%s, all in one pipeline", async (_claim, steps) => {
      const { connect } = await startTestServer({}, 7);
      const client = connect();
      client.send(...steps.map(([command]) => words(command)));
      expect(await client.receiveMany(steps.length)).toEqual(steps.map(([, reply]) => reply));
    });
  });
}
