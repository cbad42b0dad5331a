/** Why a node cannot start or go on: a closed list of codes, each with one meaning for exit codes and callers. */

export type NodeErrorCode =
  /** The data directory belongs to another cluster, node or number of nodes. */
  | "foreign"
  /** Records are broken and it cannot be told whose they are (P30). */
  | "damaged"
  /** The store failed, or could not be opened. */
  | "io"
  /** A port could not be opened. */
  | "listen";

export class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: NodeErrorCode;

  constructor(code: NodeErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
