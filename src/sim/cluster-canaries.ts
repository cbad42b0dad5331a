/** The broken variants of whole clusters, in the shape that `npm run canaries` reads: see canary-suite.ts. */
import type { CanarySuite } from "./canary-suite.js";
import { CLUSTER_CANARIES, huntCanary } from "./canaries.js";

/** Seeds that a variant may live through; those of P31 took up to some hundred, the others a dozen. */
const SEEDS = 500;

export const suite: CanarySuite = {
  name: "cluster",
  canaries: CLUSTER_CANARIES,
  kill: (name, effort) => {
    const canary = CLUSTER_CANARIES.find((one) => one.name === name);
    if (canary === undefined) throw new Error(`there is no variant ${name}`);
    const caught = huntCanary(canary, Math.ceil(SEEDS * effort));
    if (caught === null) return null;
    const { seeds, by } = caught;
    return { count: seeds, unit: "seeds", where: `seed ${String(seeds)}`, violation: by };
  },
};
