/**
 * Asks, before anything is started, whether every port of a plan is free, so that the answer is one sentence about the
 * port and not the log of a node that died.
 */
import { createServer } from "node:net";
import { CommandError, EXIT } from "./exit.js";
import type { ClusterPlan } from "./layout.js";

/** Throws CommandError that names each port which is taken, and what to do. */
export async function checkPorts(plan: ClusterPlan): Promise<void> {
  const taken: string[] = [];
  for (const node of plan.nodes) {
    const uses = [
      [node.clientPort, "clients"],
      [node.peerPort, "peers"],
      [node.httpPort, "http"],
    ] as const;
    for (const [port, use] of uses) {
      const problem = await tryPort(port);
      if (problem !== null) taken.push(`port ${port} (${use} of ${node.id}) ${problem}`);
    }
  }
  if (taken.length === 0) return;
  const other = plan.basePort <= 60_000 ? plan.basePort + 1000 : plan.basePort - 1000;
  throw new CommandError(
    EXIT.usage,
    `${taken.join("\n")}\nEnd what uses it (ss -ltnp shows it), or take other ports: ` +
      `plogdb cluster up --base-port ${other} --dir ${plan.directory}`,
  );
}

function tryPort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "EADDRINUSE" ? "is taken" : `cannot be used: ${error.message}`);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => {
        resolve(null);
      });
    });
  });
}
