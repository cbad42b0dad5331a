// LevelDB through classic-level. Concurrent puts run on libuv's threads, four unless UV_THREADPOOL_SIZE says more, and as many
// at most share one flush.
import { peerVersion, requirePeer } from "../peers.mjs";

export const name = "leveldb";
export const settings = "sync: true, no compression";
export const version = () => `classic-level ${peerVersion("classic-level")}`;

const SYNC = { sync: true };

function fail(error) {
  throw error;
}

function puts(pairs) {
  return pairs.map(([key, value]) => ({ type: "put", key, value }));
}

export async function open(dir, { cacheBytes }) {
  const { ClassicLevel } = requirePeer("classic-level");
  const db = new ClassicLevel(dir, { valueEncoding: "buffer", compression: false, cacheSize: cacheBytes });
  await db.open();
  return {
    put(key, value, done) {
      db.put(key, value, SYNC).then(done, fail);
    },
    batch(pairs, done) {
      db.batch(puts(pairs), SYNC).then(done, fail);
    },
    async fill(batches) {
      for (const pairs of batches) await db.batch(puts(pairs));
    },
    get: (key) => db.getSync(key),
    close: () => db.close(),
  };
}
