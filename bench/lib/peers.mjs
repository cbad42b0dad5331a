// Where the peers come from: a package of its own in bench/peers, installed on first use, so that the project depends on
// none of them. A peer that cannot be had (no compiler, no registry) is named and left out.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const HOME = fileURLToPath(new URL("../peers/", import.meta.url));
const MARK = `${HOME}node_modules/.package-lock.json`;
const require = createRequire(`${HOME}package.json`);

export function installPeers() {
  if (existsSync(MARK)) return;
  console.error("bench: installing the peers into bench/peers (once, some minutes when one must be compiled)");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: HOME,
    stdio: ["ignore", 2, "inherit"],
  });
  if (status !== 0) console.error("bench: npm ci failed in bench/peers; peers that are missing are left out");
}

export function requirePeer(name) {
  return require(name);
}

export function peerVersion(name) {
  return JSON.parse(readFileSync(`${HOME}node_modules/${name}/package.json`, "utf8")).version;
}
