/**
 * A key as every room below the server sees it: a byte string, held as a JavaScript string with one character per byte
 * (latin1), because such a string hashes fast, is immutable and can be the key of a Map. The first byte is the name
 * space, so that what clients write can never collide with what a node remembers about itself.
 */

declare const keyBrand: unique symbol;

/** One character per byte, each below 256; the first is the name space. */
export type Key = string & { readonly [keyBrand]: "Key" };

/** Name space of what clients write. */
export const USER_SPACE = "u";
/** Name space of what a node remembers about itself and its peers. */
export const NODE_SPACE = "n";

/** The key of a client's byte string, given as a latin1 string. */
export function userKey(latin1: string): Key {
  return (USER_SPACE + latin1) as Key; // the brand is made here and in nodeKey only
}

/** The key of a node's own record. */
export function nodeKey(name: string): Key {
  return (NODE_SPACE + name) as Key;
}

/** A key as read from a disk or a peer, name space included. */
export function rawKey(latin1: string): Key {
  return latin1 as Key;
}

/** The client's byte string (latin1) of a key of the user space. */
export function clientBytes(key: Key): string {
  return key.slice(1);
}
