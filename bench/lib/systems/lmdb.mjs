// LMDB through the package lmdb. Without overlapping sync, so that a put's promise resolves when the commit is on disk.
import { peerVersion, requirePeer } from "../peers.mjs";

export const name = "lmdb";
export const settings =
  "overlappingSync: false (a put resolves after the commit's sync), no compression, binary values";
export const version = () => peerVersion("lmdb");

function fail(error) {
  throw error;
}

export async function open(dir, { sizeBytes }) {
  const lmdb = requirePeer("lmdb");
  const db = lmdb.open({
    path: dir,
    encoding: "binary",
    compression: false,
    overlappingSync: false,
    mapSize: sizeBytes,
  });
  return {
    put(key, value, done) {
      db.put(key, value).then(done, fail);
    },
    batch(pairs, done) {
      db.batch(() => {
        for (const [key, value] of pairs) db.put(key, value);
      }).then(done, fail);
    },
    async fill(batches) {
      for (const pairs of batches) {
        await db.batch(() => {
          for (const [key, value] of pairs) db.put(key, value);
        });
      }
    },
    get: (key) => db.getBinaryFast(key),
    close: () => db.close(),
  };
}
