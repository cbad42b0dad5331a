/** TLS for clients: the files of the configuration as what node:tls takes, read at start and again on reload. */
import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import type { TlsFiles } from "../cluster/index.js";
import { OpenError } from "./open-error.js";

/** A client that does not finish its handshake is let go. */
const HANDSHAKE_MS = 10_000;

function read(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new OpenError("CONFIG", `tls.${key}: ${path} cannot be read (${why})`, error);
  }
}

/** What may change while the server runs. Throws an OpenError that names the key. */
export function secureOptions(files: TlsFiles): Pick<TlsOptions, "cert" | "key" | "ca" | "minVersion"> {
  const options: TlsOptions = {
    cert: read("cert", files.cert),
    key: read("key", files.key),
    minVersion: "TLSv1.3",
    ...(files.clientCa === null ? {} : { ca: read("clientCa", files.clientCa) }),
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OpenError(
      "CONFIG",
      `tls: ${files.cert} and ${files.key} do not make a certificate with its key: ${why}`,
      error,
    );
  }
  return options;
}

export function serverOptions(files: TlsFiles): TlsOptions {
  const isMutual = files.clientCa !== null;
  return {
    ...secureOptions(files),
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    handshakeTimeout: HANDSHAKE_MS,
  };
}
