// RocksDB through the package rocksdb. Threads as with LevelDB; it has no synchronous get, so reads are kept under way.
import { peerVersion, requirePeer } from "../peers.mjs";

export const name = "rocksdb";
export const settings = "sync: true, no compression";
export const version = () => `rocksdb ${peerVersion("rocksdb")}`;

const SYNC = { sync: true };

function orThrow(done) {
  return (error, value) => {
    if (error) throw error;
    done(value);
  };
}

function puts(pairs) {
  return pairs.map(([key, value]) => ({ type: "put", key, value }));
}

export function open(dir, { cacheBytes }) {
  const db = requirePeer("rocksdb")(dir);
  const system = {
    put(key, value, done) {
      db.put(key, value, SYNC, orThrow(done));
    },
    batch(pairs, done) {
      db.batch(puts(pairs), SYNC, orThrow(done));
    },
    async fill(batches) {
      for (const pairs of batches) await new Promise((resolve) => db.batch(puts(pairs), orThrow(resolve)));
    },
    read(key, done) {
      db.get(key, orThrow(done));
    },
    close: () => new Promise((resolve) => db.close(orThrow(resolve))),
  };
  return new Promise((resolve) => {
    db.open(
      { compression: false, cacheSize: cacheBytes },
      orThrow(() => resolve(system)),
    );
  });
}
