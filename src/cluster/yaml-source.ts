/**
 * A YAML text and where each key stands in it. Knows YAML, not what the keys mean.
 */
import { isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { ConfigError } from "./config-error.js";
import type { KeyPath } from "./settings.js";

/** More is not a configuration; a bound for what is read into memory. */
export const MAX_FILE_BYTES = 1024 * 1024;

export class YamlSource {
  /** Plain values: maps as objects, lists as arrays. */
  readonly value: unknown;
  readonly #name: string;
  readonly #lines = new LineCounter();
  readonly #root: Node | null;

  /** Throws ConfigError when the text is not YAML. `name` is what messages call it. */
  constructor(text: string, name: string) {
    this.#name = name;
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const problems = [...document.errors, ...document.warnings].map((error) => ({
      where: this.#at(error.pos[0]),
      key: "",
      message: explain(error.message),
    }));
    if (problems.length > 0) throw new ConfigError(problems);
    this.#root = document.contents;
    try {
      this.value = document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      // The one thing toJS refuses in a well-formed document: aliases that multiply beyond the bound, or name nothing.
      const message = error instanceof Error ? error.message : String(error);
      throw new ConfigError([{ where: this.#at(0), key: "", message: `cannot be expanded: ${message}` }]);
    }
  }

  /** "file:line:column" of the key at `path`, or of the innermost part of it that the text has. */
  locate(path: KeyPath): string {
    let node: unknown = this.#root;
    let offset = this.#root?.range?.[0] ?? 0;
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
        if (!isPair(pair) || !isScalar(pair.key)) break;
        offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        const item: unknown = node.items[Number(part)];
        if (!isScalar(item)) break;
        offset = item.range?.[0] ?? offset;
        node = item;
      } else {
        break;
      }
    }
    return this.#at(offset);
  }

  #at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#name}:${String(Math.max(line, 1))}:${String(Math.max(col, 1))}`;
  }
}

/** The parser's sentence with the usual cause beside it. */
function explain(message: string): string {
  const [first = message] = message.split("\n");
  if (/tab/i.test(first)) return `${first}; indent with spaces`;
  if (/unique/i.test(first)) return `${first}; remove one of the two`;
  return `is not YAML: ${first}`;
}
