// All systems under test and their variants, by the name that a bench prints: which module, with which environment.
const THREADS_64 = { UV_THREADPOOL_SIZE: "64" };

export const SYSTEMS = {
  plogdb: { module: "plogdb" },
  lmdb: { module: "lmdb" },
  leveldb: { module: "leveldb" },
  "leveldb-64t": { module: "leveldb", env: THREADS_64, note: "64 libuv threads" },
  rocksdb: { module: "rocksdb" },
  "rocksdb-64t": { module: "rocksdb", env: THREADS_64, note: "64 libuv threads" },
  sqlite: { module: "sqlite" },
  "sqlite-gathered": {
    module: "sqlite",
    options: { gather: true },
    note: "the caller gathers a turn into a transaction",
  },
};

export function loadSystem(name) {
  return import(`./${SYSTEMS[name].module}.mjs`);
}
