/** `plogdb hash-password`: a password on stdin becomes the text that stands for it in a configuration. */
import { hashPassword } from "../cluster/index.js";
import { CommandError, EXIT, type ExitCode } from "./exit.js";

const MOST_BYTES = 512;

/** Its line end is no part of it. Exit 2 when there is none. */
export async function readPassword(input: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const chunk of input) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.length > MOST_BYTES)
      throw new CommandError(EXIT.usage, `a password has at most ${String(MOST_BYTES)} bytes`);
  }
  const password = text.replace(/\r?\n$/, "");
  if (password === "") throw new CommandError(EXIT.usage, "no password came; write it to stdin");
  return password;
}

export async function hashFromStdin(): Promise<ExitCode> {
  process.stdout.write(`${await hashPassword(await readPassword(process.stdin))}\n`);
  return EXIT.ok;
}
