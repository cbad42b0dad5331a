/**
 * What every Store must do, as one suite: run by each implementation with one line. It opens stores through a Place (a
 * disk that outlives them) and looks at nothing but the Store interface.
 */
import { afterEach, beforeEach, describe } from "vitest";
import { lifeContract } from "./contract-life.js";
import { keysContract } from "./contract-keys.js";
import { recordsContract } from "./contract-records.js";
import { type Contract, Scene } from "./contract-tools.js";

const PLACE_BYTES = 64 << 20;

export function storeContract(contract: Contract): void {
  describe(`${contract.name} as a store`, () => {
    let scene: Scene;

    beforeEach(() => {
      scene = new Scene(contract.makePlace(PLACE_BYTES));
    });

    afterEach(() => scene.end());

    recordsContract(() => scene);
    keysContract(() => scene);
    lifeContract(() => scene);
  });
}
