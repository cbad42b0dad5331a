// Goal: python3-redis works unmodified, in both protocols where it knows them. Method: a script against a real node; where
// the library is not installed the test is skipped, and its name says so.
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { withCluster } from "../cluster/harness.js";
import { startSingle } from "./harness.js";

const run = promisify(execFile);
/** The system's own first: that is where the package of the distribution is. */
const python = ["/usr/bin/python3", "python3"].find((one) => spawnSync(one, ["-c", "import redis"]).status === 0);
const installed = python !== undefined;

const SCRIPT = `
import redis, sys
r = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]), decode_responses=True, client_name="py")
assert r.ping() is True
assert r.set("a", "1") is True
assert r.set("a", "2", nx=True) is None
assert r.set("a", "2", get=True, ex=100) == "1"
assert r.ttl("a") == 100
assert r.incr("a", 5) == 7
assert r.incrbyfloat("f", 0.5) == 0.5
assert r.mset({"b": "x", "c": "y"}) is True
assert r.mget("a", "b", "none") == ["7", "x", None]
assert r.getrange("b", 0, -1) == "x" and r.getdel("b") == "x" and r.getex("c", persist=True) == "y"
assert r.expire("c", 100, gt=True) is False and r.expire("c", 100, lt=True) is True
assert sorted(r.scan_iter(match="?", count=2)) == ["a", "c", "f"]
assert r.delete("a", "c", "f") == 3
with r.pipeline() as p:
    p.watch("n")
    p.multi()
    p.set("n", 1)
    p.incr("n")
    assert p.execute() == [True, 2]
with r.pipeline() as p:
    p.watch("n")
    r.incr("n")
    p.multi()
    p.incr("n")
    try:
        p.execute()
        raise SystemExit("a watched key had changed")
    except redis.WatchError:
        pass
try:
    r.pipeline().set("x", 1).set("y", 2).execute()
    raise SystemExit("two keys in one transaction")
except redis.ResponseError as error:
    assert "CROSSKEY" in str(error) or "EXECABORT" in str(error), error
assert r.info("server")["redis_mode"] == "cluster"
assert r.client_list()[0]["name"] == "py" and r.client_getname() == "py"
assert r.config_get("maxmemory") == {"maxmemory": "0"}
assert r.slowlog_len() >= 0 and r.dbsize() == 1
print("done")
`;

const CLUSTER_SCRIPT = `
import sys
from redis.cluster import RedisCluster
r = RedisCluster(host="127.0.0.1", port=int(sys.argv[1]), decode_responses=True)
assert len(r.get_nodes()) == 6, r.get_nodes()
for i in range(200):
    assert r.set("key:%d" % i, str(i)) is True
assert [r.get("key:%d" % i) for i in range(200)] == [str(i) for i in range(200)]
assert r.mset_nonatomic({"{t}a": "1", "b": "2"}) and r.mget_nonatomic("{t}a", "b") == ["1", "2"]
assert r.incr("key:7") == 8 and r.delete("key:7") == 1
print("done")
`;

describe.skipIf(!installed)(`python3-redis${installed ? "" : " (skipped: python3-redis is not installed)"}`, () => {
  it("reads, writes, scans, watches and inspects", async () => {
    const { client } = await startSingle();
    expect((await run(python ?? "python3", ["-c", SCRIPT, String(client.port)])).stdout).toBe("done\n");
  });

  it("finds its way through six nodes in groups of three", { timeout: 60_000 }, async () => {
    await withCluster({ nodes: 6 }, async (cluster) => {
      const port = String(cluster.node(4).plan.clientPort);
      expect((await run(python ?? "python3", ["-c", CLUSTER_SCRIPT, port])).stdout).toBe("done\n");
    });
  });
});
