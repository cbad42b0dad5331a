// A process of its own around the bare addon, for tests of how a store ends: `node addon-child.mjs STAGE DIRECTORY`.
// Plain JavaScript on purpose: it packs its buffers by the constants that the addon exports, so that what it shows is
// the C++ side alone. Exit codes: 0 as wished, 7 as wished by process.exit in the middle, anything else is a fault.
import { mkdirSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { fileURLToPath } from "node:url";

const { constants: L, StoreHandle } = createRequire(import.meta.url)("../../build/Release/plogdb.node");
const [stage, directory] = isMainThread ? process.argv.slice(2) : workerData;
const EXIT_IN_THE_MIDDLE = 7;

const events = new ArrayBuffer(L.eventsFirst + 64 * L.eventBytes);

const MERGE = { bytesPerSecond: 1 << 20, operationsPerSecond: 100, paused: false, hours: 0xffffff };

function options(name) {
  mkdirSync(directory, { recursive: true });
  return {
    volumes: [{ path: `${directory}/${name}.plog`, bytes: 8 << 20 }],
    durability: L.durabilityFlush,
    cacheBytes: 1 << 20,
    maxValueBytes: 1 << 20,
    readerThreads: 2,
    nodeId: "n1",
    merge: MERGE,
    scrub: { bytesPerSecond: 0 },
    digestOffset: -1,
  };
}

/** Packs puts of `count` keys at a position, or reads when `tag` is given. */
function request(count, position, valueBytes, tag = null) {
  const keyBytes = 8;
  const size = Math.ceil((L.opFixedBytes + keyBytes + valueBytes) / 8) * 8;
  const buffer = new ArrayBuffer(size * count);
  const view = new DataView(buffer);
  for (let i = 0; i < count; i++) {
    const at = i * size;
    view.setUint32(at + L.opKind, tag === null ? L.opPut : L.opRead, true);
    view.setUint32(at + L.opKeyBytes, keyBytes, true);
    view.setFloat64(at + L.opPosition, position, true);
    view.setFloat64(at + L.opFloor, tag === null ? position : tag + i, true);
    view.setUint32(at + L.opValueBytes, valueBytes, true);
    for (let k = 0; k < keyBytes; k++) view.setUint8(at + L.opFixedBytes + k, 97 + ((i >> (k * 3)) & 7));
  }
  return buffer;
}

function submit(handle, buffer, token) {
  handle.submit(buffer, buffer.byteLength, token);
}

/** Takes everything that waits; returns [kind, status, tag] of each. */
function drain(handle) {
  const seen = [];
  for (let slab = new ArrayBuffer(1 << 16); ; ) {
    const count = handle.drain(events, slab, 0);
    if (count === 0) return seen;
    if (count < 0) slab = new ArrayBuffer(-count);
    const view = new DataView(events);
    for (let i = 0; i < count; i++) {
      const at = L.eventsFirst + i * L.eventBytes;
      seen.push([
        view.getUint32(at + L.eventKind, true),
        view.getUint32(at + L.eventStatus, true),
        view.getFloat64(at + L.eventTag, true),
      ]);
    }
  }
}

function fail(why) {
  console.error(why);
  process.exit(3);
}

/** Opens a store and calls `then(handle)`; wake-ups for completions go to `onEvents`. */
function open(name, then, onEvents = () => {}, onClosed = () => {}) {
  const handle = new StoreHandle((reason) => {
    if (reason === L.wakeOpened) {
      const facts = handle.finishOpen();
      if (facts.status !== undefined) fail(facts.message);
      then(handle);
    } else if (reason === L.wakeClosed) {
      handle.finishClose();
      onEvents(drain(handle), handle);
      onClosed();
    } else {
      onEvents(drain(handle), handle);
    }
  });
  handle.open(options(name));
  return handle;
}

function exitInTheMiddle() {
  process.exit(EXIT_IN_THE_MIDDLE);
}

function load(handle) {
  for (let token = 1; token <= 20; token++) submit(handle, request(50, token, 500), token);
  submit(handle, request(50, 20, 0, 1000), 0);
}

function expectThrow(what, run) {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return;
  }
  fail(`${what} did not throw`);
}

/** Bytes that no client of ours would send; every call must throw or answer, never break the process. */
function garbage(handle) {
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  const good = request(3, 1, 40);
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    const bytes = new Uint8Array(good.slice(0, Math.floor(random() * (good.byteLength + 1))));
    for (let i = 0; i < 1 + random() * 8; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      handle.submit(bytes.buffer, Math.floor(random() * (bytes.length + 20)), round + 1);
    } catch {
      refused++;
    }
    const result = new ArrayBuffer(Math.floor(random() * 3 * L.loadedBytes));
    try {
      handle.load(bytes.buffer, bytes.length, Math.floor(random() * 4), result, new ArrayBuffer(64), 8);
    } catch {
      refused++;
    }
    const slab = new ArrayBuffer(Math.floor(random() * 2 * L.getFirst));
    const cursor = new Uint8Array(Math.floor(random() * 32)).map(() => random() * 256);
    try {
      handle.get(slab, Math.floor(random() * 20), Math.floor(random() * slab.byteLength));
    } catch {
      refused++;
    }
    try {
      handle.iterate(cursor.buffer, Math.floor(random() * 10));
    } catch {
      refused++;
    }
  }
  if (refused < 2000) fail(`only ${refused} refused`);
  const slab = new ArrayBuffer(64);
  for (const [what, run] of Object.entries({
    "a length beyond the buffer": () => handle.submit(good, good.byteLength + 8, 99999),
    "a negative length": () => handle.submit(good, -8, 99999),
    "a length that is NaN": () => handle.submit(good, Number.NaN, 99999),
    "no buffer": () => handle.submit(null, 0, 99999),
    "a view for a buffer": () => handle.submit(new Uint8Array(good), 8, 99999),
    "a shared buffer": () => handle.submit(new SharedArrayBuffer(256), 256, 99999),
    "a batch without a token": () => submit(handle, good, 0),
    "an offset beyond the slab": () => handle.drain(events, slab, 72),
    "an offset that is not aligned": () => handle.drain(events, slab, 3),
    "no room for one event": () => handle.drain(new ArrayBuffer(8), slab, 0),
    "too many keys": () => handle.load(good, 8, L.maxLoadKeys + 1, new ArrayBuffer(8), slab, 0),
    "a result without room": () => handle.load(new ArrayBuffer(64), 64, 1, new ArrayBuffer(8), slab, 0),
    "a get without a key": () => handle.get(new ArrayBuffer(2048), 0, 1024),
    "a get with a value before its slab": () => handle.get(new ArrayBuffer(2048), 8, 1000),
    "a get with a key beyond its slab": () => handle.get(new ArrayBuffer(64), 65, 64),
    "an iteration without room for its cursor": () => handle.iterate(new ArrayBuffer(8), 1),
    "an iteration of no keys": () => handle.iterate(new ArrayBuffer(16), 0),
    "digests beyond the last bucket": () => handle.digests(1, L.digestBuckets, new ArrayBuffer(8 * L.digestBuckets)),
    "digests without room": () => handle.digests(0, 2, new ArrayBuffer(8)),
    "a merge without options": () => handle.setMerge(),
    "a merge at a negative rate": () => handle.setMerge({ ...MERGE, bytesPerSecond: -1 }),
    "a merge in an hour that is none": () => handle.setMerge({ ...MERGE, hours: 0x1000000 }),
    "a merge that is paused by a number": () => handle.setMerge({ ...MERGE, paused: 1 }),
    "a scrub at a rate that is no number": () => handle.setScrub({ bytesPerSecond: Number.NaN }),
    "an open with a digest offset that is not aligned": () =>
      new StoreHandle(() => {}).open({ ...options("x"), digestOffset: 12 }),
    "stats without room": () => handle.stats(new ArrayBuffer(8)),
    "a second open": () => handle.open(options("again")),
    "a second finishOpen": () => handle.finishOpen(),
    "a finishClose before close": () => handle.finishClose(),
    "a handle without a function": () => new StoreHandle(),
    "a method on another object": () => handle.submit.call({}, good, 8, 1),
    "an open without options": () => new StoreHandle(() => {}).open(),
    "an open with a zero byte in its path": () =>
      new StoreHandle(() => {}).open({ ...options("x"), volumes: [{ path: "a\0b", bytes: 1 << 23 }] }),
    "an open with a size that is no number": () =>
      new StoreHandle(() => {}).open({ ...options("x"), volumes: [{ path: "a", bytes: "1" }] }),
  })) {
    expectThrow(what, run);
  }
}

const stages = {
  "exit while it opens": () => {
    open("a", () => {});
    exitInTheMiddle();
  },
  "exit when it is open": () => open("a", exitInTheMiddle),
  "exit with batches and reads under way": () =>
    open("a", (handle) => {
      load(handle);
      exitInTheMiddle();
    }),
  "exit inside a completion": () => open("a", load, exitInTheMiddle),
  "exit while it closes": () =>
    open("a", (handle) => {
      load(handle);
      handle.close();
      exitInTheMiddle();
    }),
  "exit after it closed": () => open("a", (handle) => handle.close(), undefined, exitInTheMiddle),
  "the end of all work, without close": () => open("a", () => {}),
  "close with batches under way": () => {
    const tokens = [];
    const onEvents = (seen) => {
      for (const [kind, status, tag] of seen) if (kind === L.eventBatch && status === L.statusOk) tokens.push(tag);
    };
    const closed = () => {
      if (tokens.join() !== Array.from({ length: 20 }, (_, i) => i + 1).join()) fail(`ended: ${tokens.join()}`);
    };
    const begin = (handle) => {
      load(handle);
      handle.close();
      expectThrow("a second close", () => handle.close());
      expectThrow("a submit while it closes", () => submit(handle, request(1, 1, 1), 21));
    };
    open("a", begin, onEvents, closed);
  },
  "an exception inside a completion": () => {
    process.on("uncaughtException", (error) => {
      process.exit(error.message === "on purpose" ? EXIT_IN_THE_MIDDLE : 3);
    });
    open("a", load, () => {
      throw new Error("on purpose");
    });
  },
  "collection without close": () => {
    let rounds = 0;
    const again = () => {
      rounds++;
      // Nothing holds the handle but its own closure; the volume opens again only when the first store let go.
      if (rounds > 5) return;
      setImmediate(() => {
        globalThis.gc();
        setImmediate(() => {
          globalThis.gc();
          setImmediate(() => openLoosely(again));
        });
      });
    };
    openLoosely(again);
  },
  "a worker that is terminated with batches under way": () => runWorker("load"),
  "a worker that is terminated while it opens": () => runWorker("open"),
  "a worker that is terminated in the middle of its calls": () => runWorker("calls", 8),
  "a worker that ends by itself": () => runWorker("end"),
  garbage: () =>
    open("a", (handle) => {
      garbage(handle);
      drain(handle);
      handle.close();
    }),
  // For syscalls.test.ts: all extents were written before; between the two words come 400 puts, one after the other, over
  // several extents.
  "steady puts": () => {
    let token = 0;
    const next = (handle) => {
      token++;
      const warm = token <= 150;
      submit(handle, request(1, token, warm ? 100_000 : 8_000), token);
    };
    const begin = (handle) => {
      handle.ref();
      next(handle);
    };
    open("a", begin, (seen, handle) => {
      for (const [kind, status, tag] of seen) {
        if (kind !== L.eventBatch || status !== L.statusOk) fail(`token ${tag} ended with ${status}`);
        if (tag === 150) writeSync(2, "steady begins\n");
        if (tag < 550) {
          next(handle);
        } else {
          writeSync(2, "steady ends\n");
          handle.unref();
          handle.close();
        }
      }
    });
  },
  "load until killed": () => {
    let token = 0;
    const next = (handle) => {
      token++;
      submit(handle, request(20, token, 300), token);
    };
    const begin = (handle) => {
      handle.ref();
      for (let i = 0; i < 4; i++) next(handle);
    };
    open("a", begin, (seen, handle) => {
      for (const [kind, status, tag] of seen) {
        if (kind !== L.eventBatch || status !== L.statusOk) fail(`token ${tag} ended with ${status}`);
        process.send(tag);
        next(handle);
      }
    });
  },
};

/** As open, but the callback holds its handle through a box that is emptied: a store that nobody can reach. */
function openLoosely(then) {
  const box = { handle: null };
  box.handle = new StoreHandle((reason) => {
    if (reason !== L.wakeOpened) return;
    const facts = box.handle.finishOpen();
    if (facts.status !== undefined) fail(facts.message);
    submit(box.handle, request(5, 1, 100), 1);
    box.handle = null;
    then();
  });
  box.handle.open(options("a"));
}

function runWorker(work, times = 1) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: [`worker ${work}`, directory] });
  worker.on("error", (error) => fail(error.message));
  worker.on("message", () => {
    if (work !== "end") void worker.terminate();
  });
  // The volume must be free when the worker is gone.
  worker.on("exit", () => {
    if (times > 1) runWorker(work, times - 1);
    else open("a", (handle) => handle.close());
  });
}

const workerStages = {
  "worker load": () =>
    open("a", (handle) => {
      load(handle);
      parentPort.postMessage("ready");
    }),
  // No turn of the event loop between the calls: the end of the environment finds the thread inside the addon.
  "worker calls": () =>
    open("a", (handle) => {
      parentPort.postMessage("ready");
      const stats = new ArrayBuffer(8 * L.statCount);
      const good = request(3, 1, 40);
      const key = new Uint8Array(16).fill(97);
      new DataView(key.buffer).setUint32(0, 8, true);
      const result = new ArrayBuffer(3 * L.loadedBytes);
      const digests = new ArrayBuffer(64);
      for (let token = 1; ; token++) {
        if (token % 1000 === 0) submit(handle, good, token);
        drain(handle);
        handle.load(key.buffer, 16, 1, result, new ArrayBuffer(1 << 16), 0);
        handle.stats(stats);
        const cursor = new ArrayBuffer(L.cursorBytes);
        new DataView(cursor).setBigUint64(L.cursorUntil, 2n ** 64n - 1n, true);
        handle.iterate(cursor, 1);
        handle.digests(0, 1, digests);
        handle.isFull();
        handle.setMerge(MERGE);
        try {
          handle.submit(null, 0, token);
        } catch {
          // As wished: what is refused throws, also into an environment that ends.
        }
      }
    }),
  "worker open": () => {
    open("a", () => {});
    parentPort.postMessage("ready");
  },
  "worker end": () => open("a", load),
};

(stages[stage] ?? workerStages[stage] ?? (() => fail(`no stage ${stage}`)))();
