// A network of hosts on one machine: a network namespace each, joined by a bridge to which this process belongs too, and
// packets dropped on their way from one host to another, always or by chance. Needs root, ip (iproute2) and nft (nftables).
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Host } from "./harness.js";

const OWN_ADDRESS = 254;

function run(command: string, ...words: string[]): void {
  execFileSync(command, words, { stdio: ["ignore", "pipe", "pipe"] });
}

/** Why no such network can be had here; empty when it can. */
export function whyNoNetwork(): string {
  if (process.getuid?.() !== 0) return "not root";
  for (const [command, option] of [
    ["ip", "-V"],
    ["nft", "-v"],
  ] as const) {
    try {
      run(command, option);
    } catch {
      return `${command} is not installed`;
    }
  }
  try {
    Network.create(1).destroy();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export class Network {
  readonly hosts: readonly Host[];
  readonly #tag = randomBytes(3).toString("hex");
  readonly #net: string;
  /** Share of packets dropped, in percent, by receiver and sender. */
  readonly #losses: Map<number, number>[];

  private constructor(count: number) {
    const [a = 0, b = 0] = randomBytes(2);
    this.#net = `10.${String(128 + (a % 128))}.${String(b)}`;
    this.#losses = Array.from({ length: count }, () => new Map<number, number>());
    this.hosts = this.#losses.map((_, i) => ({
      address: `${this.#net}.${String(i + 1)}`,
      enter: ["ip", "netns", "exec", this.#space(i)],
    }));
  }

  static create(count: number): Network {
    const network = new Network(count);
    try {
      network.#build();
    } catch (error) {
      network.destroy();
      throw error;
    }
    return network;
  }

  #space(host: number): string {
    return `plogdb-${this.#tag}-${String(host + 1)}`;
  }

  get #bridge(): string {
    return `pb${this.#tag}`;
  }

  #build(): void {
    run("ip", "link", "add", this.#bridge, "type", "bridge");
    run("ip", "addr", "add", `${this.#net}.${String(OWN_ADDRESS)}/24`, "dev", this.#bridge);
    run("ip", "link", "set", this.#bridge, "up");
    for (const [i, host] of this.hosts.entries()) {
      const space = this.#space(i);
      const cable = `pv${this.#tag}${String(i + 1)}`;
      run("ip", "netns", "add", space);
      run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space);
      run("ip", "link", "set", cable, "master", this.#bridge, "up");
      run("ip", "-n", space, "addr", "add", `${host.address}/24`, "dev", "eth0");
      run("ip", "-n", space, "link", "set", "eth0", "up");
      run("ip", "-n", space, "link", "set", "lo", "up");
    }
  }

  /** From now on, `percent` of the packets from one host to the other are dropped. */
  drop(from: number, to: number, percent = 100): void {
    this.#losses[to]?.set(from, percent);
    this.#apply(to);
  }

  /** Both ways. */
  cut(a: number, b: number, percent = 100): void {
    this.drop(a, b, percent);
    this.drop(b, a, percent);
  }

  heal(): void {
    for (const [host, losses] of this.#losses.entries()) {
      if (losses.size === 0) continue;
      losses.clear();
      this.#apply(host);
    }
  }

  #apply(host: number): void {
    const rules = [...(this.#losses[host] ?? [])].map(([from, percent]) => {
      const chance = percent < 100 ? `numgen random mod 100 < ${String(percent)} ` : "";
      return `ip saddr ${this.hosts[from]?.address ?? ""} ${chance}drop`;
    });
    const chain = ["type filter hook input priority 0; policy accept;", ...rules].join("\n");
    const table = `table inet plogdb\ndelete table inet plogdb\ntable inet plogdb {\nchain input {\n${chain}\n}\n}\n`;
    execFileSync("ip", ["netns", "exec", this.#space(host), "nft", "-f", "-"], { input: table });
  }

  /** The processes on the hosts are to have ended. */
  destroy(): void {
    for (const [i] of this.hosts.entries()) this.#quietly("netns", "del", this.#space(i));
    this.#quietly("link", "del", this.#bridge);
  }

  #quietly(...words: string[]): void {
    try {
      run("ip", ...words);
    } catch {
      // It was never made.
    }
  }
}
