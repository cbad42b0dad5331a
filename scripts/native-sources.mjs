// Prints the C++ files of one part of the addons, one a line, for binding.gyp: `shared` is all of native/core and the
// crossing, but for what only the simulator has; `product` and `sim` are what each addon adds.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const PRODUCT = new Set(["native/binding/addon.cc", "native/binding/store_object.cc"]);
const SIM = new Set(["native/core/sim_device.cc", "native/core/disk_model.cc"]);
/** Of the native tests only. */
const TESTS = new Set(["native/core/recorder_device.cc"]);

function filesOf(room) {
  return readdirSync(`${root}${room}`)
    .filter((name) => name.endsWith(".cc"))
    .sort()
    .map((name) => `${room}/${name}`);
}

function isShared(file) {
  return !PRODUCT.has(file) && !SIM.has(file) && !TESTS.has(file);
}

const parts = {
  shared: () => [...filesOf("native/core"), ...filesOf("native/binding")].filter(isShared),
  product: () => [...PRODUCT],
  sim: () => [...SIM, ...filesOf("native/sim")],
};
const part = parts[process.argv[2]];
if (part === undefined) throw new Error(`one of ${Object.keys(parts).join(", ")}`);
for (const file of part()) console.log(file);
