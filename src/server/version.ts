/** Which versions this server says it is. */
import { readFileSync } from "node:fs";
import { z } from "zod";

/** The Redis whose answers are given: what clients use to choose their commands. */
export const REDIS_VERSION = "7.2.0";

const packageFile = z.object({ version: z.string() });

/** The package's own version, from its package.json two rooms up (the same place from src and from dist). */
export const PLOGDB_VERSION: string = packageFile.parse(
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")),
).version;
