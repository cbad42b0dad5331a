/**
 * The version of this package, from its own package.json: said once, there.
 */
import { readFileSync } from "node:fs";

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) return String(manifest.version);
  return "unknown";
}

export const VERSION = readVersion();
