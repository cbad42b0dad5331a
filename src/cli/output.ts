/**
 * What a command prints: one JSON line per event for machines, or text for people, never both. Colours only on a
 * terminal that wants them. A reader that went away (a closed pipe) is no error.
 */
import { WriteStream } from "node:tty";

export interface Output {
  readonly json: boolean;
  /** One event; a line in JSON mode, nothing otherwise. */
  event(event: string, fields: Readonly<Record<string, unknown>>): void;
  /** One line for people; nothing in JSON mode. */
  line(text: string): void;
  bold(text: string): string;
  dim(text: string): string;
}

export function makeOutput(json: boolean): Output {
  const stream = process.stdout;
  stream.on("error", ignoreClosedPipe);
  process.stderr.on("error", ignoreClosedPipe);
  const colours = stream instanceof WriteStream && stream.hasColors() && (process.env.NO_COLOR ?? "") === "";
  const paint = (code: string, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    json,
    event(event, fields) {
      if (json) stream.write(`${JSON.stringify({ event, ...fields })}\n`);
    },
    line(text) {
      if (!json) stream.write(`${text}\n`);
    },
    bold: (text) => paint("1", text),
    dim: (text) => paint("2", text),
  };
}

function ignoreClosedPipe(error: Error): void {
  if (!("code" in error) || error.code !== "EPIPE") throw error;
}

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  "),
  );
}
