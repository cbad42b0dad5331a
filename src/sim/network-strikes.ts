/** What the nemesis does to the network: cuts of every shape, clogs, connections that only one side believes in. Each heals. */
import type { ReplicaId } from "../paxos/ballot.js";
import type { FaultKind } from "./fault-kinds.js";
import type { Arena } from "./nemesis.js";
import type { CutMode } from "./network.js";

type Direction = readonly [from: ReplicaId, to: ReplicaId];

/** True when the kind is one of the network's. */
export function strikeNetwork(arena: Arena, kind: FaultKind): boolean {
  const { random, cluster, plan } = arena;
  const { replicas } = plan;
  const victim = random.below(replicas);
  const other = (victim + 1 + random.below(replicas - 1)) % replicas;
  switch (kind) {
    case "clog":
      cut(arena, [[victim, other]], kind, "stalled", 1000 + random.below(200_000));
      return true;
    case "partition": {
      const side = drawSide(arena);
      cut(arena, [...across(replicas, side), ...across(replicas, side).map(([a, b]) => [b, a] as const)], kind);
      return true;
    }
    case "one-way-partition":
      cut(arena, across(replicas, drawSide(arena)), kind);
      return true;
    case "bridge":
      cut(arena, aroundBridge(replicas, victim), kind);
      return true;
    case "isolation":
      cut(arena, everyWay(replicas, victim), kind);
      return true;
    case "half-open":
      cluster.network.halfOpen(victim, other, 1000 + random.below(400_000));
      return true;
    case "slow-reader": {
      const end = cluster.network.ends()[victim];
      end?.readSlowly(200 + random.below(5000));
      arena.later(10_000 + random.below(400_000), () => end?.readSlowly(0));
      return true;
    }
    default:
      return false;
  }
}

function cut(
  arena: Arena,
  directions: readonly Direction[],
  kind: FaultKind,
  mode: CutMode = arena.random.chance(0.5) ? "lossy" : "stalled",
  us: number = 5000 + arena.random.below(arena.random.chance(0.2) ? 2_500_000 : 400_000),
): void {
  const { network } = arena.cluster;
  for (const [from, to] of directions) network.cut(from, to, mode, kind);
  arena.meanwhile(us, () => {
    for (const [from, to] of directions) network.mend(from, to);
  });
}

/** Some replicas, not none and not all. */
function drawSide({ random, plan }: Arena): ReplicaId[] {
  const mask = 1 + random.below((1 << plan.replicas) - 2);
  return Array.from({ length: plan.replicas }, (_, replica) => replica).filter(
    (replica) => (mask & (1 << replica)) !== 0,
  );
}

/** Every way from the side to the others. */
function across(replicas: number, side: readonly ReplicaId[]): Direction[] {
  const ways: Direction[] = [];
  for (const from of side) for (let to = 0; to < replicas; to++) if (!side.includes(to)) ways.push([from, to]);
  return ways;
}

function everyWay(replicas: number, victim: ReplicaId): Direction[] {
  const out = across(replicas, [victim]);
  return [...out, ...out.map(([from, to]) => [to, from] as const)];
}

/** The bridge speaks with everybody, and those on its two sides not with each other. */
function aroundBridge(replicas: number, bridge: ReplicaId): Direction[] {
  const others = Array.from({ length: replicas }, (_, replica) => replica).filter((replica) => replica !== bridge);
  const half = others.slice(0, others.length / 2);
  const rest = others.slice(others.length / 2);
  return half.flatMap((a) => rest.flatMap((b) => [[a, b] as const, [b, a] as const]));
}
