// A counter service, and its test against a cluster that suffers: processes die, links break, disks crawl, clocks jump. The
// same seed gives the same run; a seed that fails is a bug that can be looked at. Usage: node counter.mjs [seeds] [first]
import { PlogError, simulate } from "plogdb/sim";

/** The application under test: adds one without losing or repeating any, whatever the outcome of a single try. */
async function addOne(node, key, token) {
  const found = await node.getWithVersion(key);
  const { count, tokens } = found === null ? { count: 0, tokens: [] } : JSON.parse(Buffer.from(found.value).toString());
  if (tokens.includes(token)) return true; // an earlier try, whose outcome nobody knew, had been applied
  const next = JSON.stringify({ count: count + 1, tokens: [...tokens, token] });
  return (await node.compareAndSet(key, next, found?.version ?? 0)) !== null;
}

async function client(sim, name) {
  for (let i = 0; i < 20; i++) {
    await sim.sleep(sim.random(40));
    for (let done = false; !done; ) {
      try {
        done = await addOne(sim.nodes[sim.random(3)], "visits", `${name}-${i}`);
      } catch (error) {
        if (!(error instanceof PlogError)) throw error;
        await sim.sleep(1 + sim.random(20));
      }
    }
  }
}

const [seeds = "20", first = "1"] = process.argv.slice(2);
for (let seed = Number(first); seed < Number(first) + Number(seeds); seed++) {
  const { result, ms, faults } = await simulate({ seed, faultEveryMs: 40 }, async (sim) => {
    await Promise.all(["ann", "bob", "eve"].map((name) => client(sim, name)));
    await sim.calm();
    return JSON.parse(Buffer.from(await sim.nodes[0].get("visits")).toString()).count;
  });
  console.log(`seed ${seed}: ${result} visits in ${Math.round(ms)} ms of virtual time, ${JSON.stringify(faults)}`);
  if (result !== 60) throw new Error(`seed ${seed}: 60 visits were made, ${result} were counted`);
}
