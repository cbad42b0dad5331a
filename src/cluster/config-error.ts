/**
 * A configuration that cannot be used, told as a list: where each problem is (file, line and column, a variable, a
 * flag), which key, what is wrong and what to write instead. All problems at once.
 */

export interface ConfigProblem {
  /** "plogdb.yaml:12:5", "PLOGDB_LISTEN" or "--listen". */
  readonly where: string;
  /** Dotted, such as nodes.n2.peer; empty for the whole. */
  readonly key: string;
  /** What is wrong and the fix, one sentence. */
  readonly message: string;
}

export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "CONFIG";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(problemLine).join("\n"));
    this.problems = problems;
  }
}

function problemLine(problem: ConfigProblem): string {
  const key = problem.key === "" ? "" : `${problem.key}: `;
  return `${problem.where}: ${key}${problem.message}`;
}
