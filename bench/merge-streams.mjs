// What it costs that merge's copies share the extents of fresh records instead of having their own (docs/decisions/0003):
// write amplification of both, by counting records in a model of extents, for uniform and skewed overwrites. No disk, no
// engine: only where records lie. Usage: node bench/merge-streams.mjs [--fill 0.8] [--extents 256]
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: { fill: { type: "string", default: "0.8" }, extents: { type: "string", default: "256" } },
});
const EXTENTS = Number(options.extents);
const PER_EXTENT = 1024;
const KEYS = Math.floor(EXTENTS * PER_EXTENT * Number(options.fill));
const KEEP_FREE = 3;

/** xorshift32, so that every run is the same. */
let state = 0x9e3779b9;
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 0x1_0000_0000;
}

const LOADS = {
  uniform: () => Math.floor(random() * KEYS),
  "90 % to 10 % of the keys": () =>
    random() < 0.9 ? Math.floor((random() * KEYS) / 10) : Math.floor(KEYS / 10 + random() * KEYS * 0.9),
  // By the inverse of the distribution function of a bounded power law.
  "zipf 0.99": () => Math.min(KEYS - 1, Math.floor(KEYS ** random()) - 1 + (random() < 0.5 ? 0 : 1)),
};

function simulate(next, ownStream) {
  const place = new Int32Array(KEYS).fill(-1);
  const live = new Int32Array(EXTENTS);
  const born = new Int32Array(EXTENTS);
  const slots = Array.from({ length: EXTENTS }, () => new Int32Array(PER_EXTENT).fill(-1));
  const free = Array.from({ length: EXTENTS }, (_, i) => i);
  const open = [free.shift(), ownStream ? free.shift() : -1];
  const used = [0, 0];
  let clock = 0;
  let copies = 0;
  const append = (stream, key) => {
    if (used[stream] === PER_EXTENT) {
      open[stream] = free.shift();
      born[open[stream]] = ++clock;
      used[stream] = 0;
    }
    const extent = open[stream];
    if (place[key] >= 0) live[place[key]]--;
    slots[extent][used[stream]++] = key;
    place[key] = extent;
    live[extent]++;
  };
  const victim = () => {
    let best = -1;
    let bestScore = -1;
    for (let extent = 0; extent < EXTENTS; extent++) {
      if (open.includes(extent) || free.includes(extent)) continue;
      const share = live[extent] / PER_EXTENT;
      const score = ((1 - share) * (1 + clock - born[extent])) / (1 + share);
      if (score > bestScore) [best, bestScore] = [extent, score];
    }
    return best;
  };
  const write = (key) => {
    append(0, key);
    while (free.length < KEEP_FREE) {
      const extent = victim();
      for (const candidate of slots[extent]) {
        if (candidate < 0 || place[candidate] !== extent) continue;
        append(ownStream ? 1 : 0, candidate);
        copies++;
      }
      slots[extent].fill(-1);
      free.push(extent);
    }
  };
  for (let key = 0; key < KEYS; key++) write(key);
  for (let i = 0; i < 4 * KEYS; i++) write(next());
  copies = 0;
  for (let i = 0; i < 4 * KEYS; i++) write(next());
  return 1 + copies / (4 * KEYS);
}

for (const [name, next] of Object.entries(LOADS)) {
  const shared = simulate(next, false);
  const own = simulate(next, true);
  console.log(JSON.stringify({ load: name, shared: Number(shared.toFixed(2)), own: Number(own.toFixed(2)) }));
}
