// SQLite through better-sqlite3: WAL, a flush at every commit. It has no group commit: every put is a transaction of its own,
// unless `gather` lets the program around it do what a careful user would and put all puts of a turn into one.
import { peerVersion, requirePeer } from "../peers.mjs";

export const name = "sqlite";
export const settings = "journal_mode WAL, synchronous FULL, one table WITHOUT ROWID";
export const version = () => `better-sqlite3 ${peerVersion("better-sqlite3")}`;

export async function open(dir, { cacheBytes, gather }) {
  const Database = requirePeer("better-sqlite3");
  const db = new Database(`${dir}/bench.sqlite`);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma(`cache_size = ${-Math.floor(cacheBytes / 1024)}`);
  db.exec("CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID");
  const put = db.prepare("INSERT INTO kv VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v");
  const get = db.prepare("SELECT v FROM kv WHERE k = ?").pluck();
  const putAll = db.transaction((pairs) => {
    for (const [key, value] of pairs) put.run(key, value);
  });
  let gathered = [];
  const commit = () => {
    const pairs = gathered;
    gathered = [];
    putAll(pairs);
    for (const [, , done] of pairs) done();
  };
  return {
    put(key, value, done) {
      if (gather) {
        gathered.push([key, value, done]);
        if (gathered.length === 1) setImmediate(commit);
      } else {
        put.run(key, value);
        setImmediate(done);
      }
    },
    batch(pairs, done) {
      putAll(pairs);
      setImmediate(done);
    },
    async fill(batches) {
      db.pragma("synchronous = OFF");
      for (const pairs of batches) putAll(pairs);
      db.pragma("wal_checkpoint(TRUNCATE)");
      db.pragma("synchronous = FULL");
    },
    get: (key) => get.get(key),
    close: async () => db.close(),
  };
}
