/** TLS for clients and between nodes: the files of the configuration as what node:tls takes, read at start and again on reload. */
import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import type { PeerTlsFiles, ServerConfig, TlsFiles } from "../cluster/index.js";
import type { PeerTls } from "../net/options.js";
import { OpenError } from "./open-error.js";

/** A client that does not finish its handshake is let go. */
const HANDSHAKE_MS = 10_000;

export type TlsName = "tls" | "httpTls";

function read(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new OpenError("CONFIG", `${key}: ${path} cannot be read (${why})`, error);
  }
}

/** Certificate and key of this node, and the authority of all. Throws an OpenError that names the key. */
export function peerTlsOf(files: PeerTlsFiles): PeerTls {
  const tls = {
    cert: read("peerTls.cert", files.cert),
    key: read("peerTls.key", files.key),
    ca: read("peerTls.ca", files.ca),
  };
  check("peerTls", files, tls);
  return tls;
}

function check(name: string, files: { readonly cert: string; readonly key: string }, options: TlsOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const text = `${name}: ${files.cert} and ${files.key} do not make a certificate with its key: ${why}`;
    throw new OpenError("CONFIG", text, error);
  }
}

/** What may change while the server runs. `name`: where the files stand in the configuration. Throws an OpenError that names the key. */
export function secureOptions(name: TlsName, files: TlsFiles): Pick<TlsOptions, "cert" | "key" | "ca" | "minVersion"> {
  const options: TlsOptions = {
    cert: read(`${name}.cert`, files.cert),
    key: read(`${name}.key`, files.key),
    minVersion: "TLSv1.3",
    ...(files.clientCa === null ? {} : { ca: read(`${name}.clientCa`, files.clientCa) }),
  };
  check(name, files, options);
  return options;
}

/** Whether the files that a configuration names can be used. Throws an OpenError. */
export function checkFiles({ tls, httpTls, peerTls }: Pick<ServerConfig, "tls" | "httpTls" | "peerTls">): void {
  if (tls !== null) secureOptions("tls", tls);
  if (httpTls !== null) secureOptions("httpTls", httpTls);
  if (peerTls !== null) peerTlsOf(peerTls);
}

export function serverOptions(name: TlsName, files: TlsFiles): TlsOptions {
  const isMutual = files.clientCa !== null;
  return {
    ...secureOptions(name, files),
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    handshakeTimeout: HANDSHAKE_MS,
  };
}
