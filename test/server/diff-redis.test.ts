// Goal: the differential test can fail. Method: its runner against two servers of ours over services in memory, alike at
// first, then one of them with a fault; what it finds must be the fault, and the shortened episode must still show it.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "./harness.js";

interface Item {
  readonly args?: readonly (Buffer | { readonly key: string })[];
}
interface Episode {
  readonly number: number;
  readonly resp: number;
  readonly items: readonly Item[];
}
interface Difference {
  readonly args: readonly Buffer[];
  readonly ours: Buffer;
}
interface Ports {
  readonly ours: number;
  readonly redis: number;
}
interface Runner {
  runEpisode(episode: Episode, ports: Ports, intended?: Map<string, number>): Promise<Difference | null>;
  shrink(episode: Episode, ports: Ports): Promise<{ items: readonly Item[]; difference: Difference | null }>;
}
interface Generator {
  episode(seed: number, number: number, resp: number): Episode;
}

const script = (name: string): string =>
  fileURLToPath(new URL(`../../scripts/diff-redis/${name}.mjs`, import.meta.url));
// The scripts have no types of their own; these are the shapes that they document.
const { runEpisode, shrink } = (await import(script("runner"))) as Runner;
const { episode } = (await import(script("generator"))) as Generator;

async function twoServers(): Promise<{ ports: Ports; tampered: TestServer }> {
  const [tampered, honest] = [await startTestServer(), await startTestServer()];
  return { ports: { ours: tampered.server.client.port, redis: honest.server.client.port }, tampered };
}

const text = (...words: readonly string[]): Item => ({
  args: words.map((word) => (word === "KEY" ? { key: "k" } : Buffer.from(word))),
});

describe("the differential test", () => {
  it("makes the same episodes of the same seed", () => {
    expect(episode(7, 3, 2)).toEqual(episode(7, 3, 2));
    expect(episode(7, 3, 2)).not.toEqual(episode(8, 3, 2));
  });

  it("finds nothing between two servers that are alike", { timeout: 30_000 }, async () => {
    const { ports } = await twoServers();
    for (let number = 0; number < 12; number++) {
      expect(
        await runEpisode(episode(5, number, 2 + (number % 2)), ports),
        `seed 5, episode ${String(number)}`,
      ).toBeNull();
    }
  });

  it("finds a reply that differs, and the few commands that it takes", async () => {
    const { ports, tampered } = await twoServers();
    tampered.service.forceRead = (key) =>
      key.endsWith("k")
        ? { status: "ok", found: true, value: Buffer.from("?"), version: 1, expiryMs: 0, index: 1 }
        : undefined;
    const filler = Array.from({ length: 20 }, (_, i) => text("ECHO", String(i)));
    const whole = {
      number: 0,
      resp: 2,
      items: [...filler, text("SET", "KEY", "v"), ...filler, text("GET", "KEY"), ...filler],
    };
    const { items, difference } = await shrink(whole, ports);
    expect(items).toEqual([text("GET", "KEY")]);
    expect(difference?.args[0]?.toString()).toBe("GET");
    expect(difference?.ours.toString()).toBe("$1\r\n?\r\n");
  });

  it("takes EXEC apart, and lets a clock's difference pass there", async () => {
    const { ports, tampered } = await twoServers();
    const items = [
      text("MULTI"),
      text("SET", "KEY", "v", "EX", "1000"),
      text("TTL", "KEY"),
      text("GET", "KEY"),
      text("EXEC"),
    ];
    const intended = new Map<string, number>();
    expect(await runEpisode({ number: 0, resp: 3, items }, ports, intended)).toBeNull();
    tampered.service.forceWrite = () => ({ status: "failed", reason: "version", version: 1, result: null });
    expect((await runEpisode({ number: 0, resp: 3, items }, ports))?.args[0]?.toString()).toBe("EXEC");
  });

  it("runs an episode again that could not be decided, and gives up in the end", async () => {
    const { ports, tampered } = await twoServers();
    let lost = 2;
    tampered.service.forceWrite = () => (lost-- > 0 ? { status: "unknown", message: "lost" } : undefined);
    const intended = new Map<string, number>();
    const one = { number: 0, resp: 2, items: [text("SET", "KEY", "v")] };
    expect(await runEpisode(one, ports, intended)).toBeNull();
    expect(intended.get("undecided")).toBe(2);
    lost = 1000;
    expect((await runEpisode(one, ports))?.ours.toString()).toBe("-UNKNOWN lost\r\n");
  });
});
