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
/** Name space of what the cluster remembers about itself: replicated as clients' keys are, and seen by none of them. */
export const CLUSTER_SPACE = "c";
/** Name space of what a node remembers about itself and its peers. */
export const NODE_SPACE = "n";

/** The key of a client's byte string, given as a latin1 string. */
export function userKey(latin1: string): Key {
  return (USER_SPACE + latin1) as Key; // the brand is made here and in the next two only
}

/** A key of the cluster's own. */
export function clusterKey(name: string): Key {
  return (CLUSTER_SPACE + name) as Key;
}

/** The key of a node's own record. */
export function nodeKey(name: string): Key {
  return (NODE_SPACE + name) as Key;
}

/** It is held by every replica of its group, and compared and repaired by all of them. */
export function isReplicated(key: Key): boolean {
  return !key.startsWith(NODE_SPACE);
}

/** A client wrote it. */
export function isUserKey(key: Key): boolean {
  return key.startsWith(USER_SPACE);
}

/** A key as read from a disk or a peer, name space included. */
export function rawKey(latin1: string): Key {
  return latin1 as Key;
}

/** The client's byte string (latin1) of a key of the user space. */
export function clientBytes(key: Key): string {
  return key.slice(1);
}
