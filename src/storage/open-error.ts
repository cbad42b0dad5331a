/**
 * Why a store could not be opened: one closed list of codes, and a text that names the path and the way out. Opening
 * is the only storage call that fails with an error object; from then on results are status codes (store.ts).
 */

export type StoreOpenCode =
  /** Another process, or another store of this process, holds the volume (D9). */
  | "locked"
  /** The volume belongs to another store or another node, or is no volume at all (D9). */
  | "foreign"
  /** Fewer than two superblock copies agree (D1). */
  | "corrupt-superblock"
  /** The file system has no room for a volume of the wanted size. */
  | "no-space"
  /** The wanted size is too small for a volume. */
  | "bad-size"
  /** This user may not use the path. */
  | "no-access"
  /** Neither a directory, nor a file, nor a block device. */
  | "bad-path"
  /** The options contradict each other. */
  | "bad-options"
  /** The device answered with an error. */
  | "io"
  /** The addon is not built, or does not fit this version of the program. */
  | "no-addon";

export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
  readonly code: StoreOpenCode;
  /** The volume that it is about (several: with commas between); empty when it is about none. */
  readonly path: string;

  constructor(code: StoreOpenCode, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}
