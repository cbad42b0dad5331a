/** Keys for directed tests and searches: such as are led by the replica that one wants. */
import { hashKey } from "../../base/hash.js";
import { type Key, userKey } from "../../base/key.js";

/** A key whose index 1 is led by replica `leader` in a group of `replicas`. */
export function keyLedBy(leader: number, replicas = 3): Key {
  for (let i = 0; ; i++) {
    const key = userKey(`k${String(i)}`);
    if (hashKey(key) % replicas === leader) return key;
  }
}
