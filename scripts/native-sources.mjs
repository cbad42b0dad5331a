// Prints the C++ files of the addon, one a line, for binding.gyp: all of native/core and native/binding.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

for (const room of ["native/core", "native/binding"]) {
  for (const name of readdirSync(`${root}${room}`).sort()) {
    if (name.endsWith(".cc")) console.log(`${room}/${name}`);
  }
}
