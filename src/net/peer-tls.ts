/**
 * Mutual TLS between nodes. A certificate of the cluster's authority says who its owner is: its subject's organisation (O) is the
 * cluster id and its common name (CN) the node id. Both sides hold what a peer says of itself against that, so that
 * whoever gets hold of one node's key can be that node and no other. Names of hosts are not compared: addresses may change.
 */
import { connect, createServer, type Server, type TlsOptions, TLSSocket } from "node:tls";
import type { Socket } from "node:net";
import type { PeerTls } from "./options.js";
import type { Hello } from "./transport.js";

/** Of a listening socket, and of one that dials. Throws what node:tls throws when they do not belong together. */
export function secureContextOf({ cert, key, ca }: PeerTls): Pick<TlsOptions, "cert" | "key" | "ca" | "minVersion"> {
  return { cert, key, ca, minVersion: "TLSv1.3" };
}

export function createSecureServer(tls: PeerTls, handshakeMs: number, onSocket: (socket: Socket) => void): Server {
  const options = {
    ...secureContextOf(tls),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeMs,
  };
  return createServer(options, onSocket);
}

export function dialSecurely(tls: PeerTls, host: string, port: number): Socket {
  return connect({ ...secureContextOf(tls), host, port, checkServerIdentity: () => undefined });
}

/** Why what a peer says of itself does not fit its certificate, or null. */
export function judgeCertificate(socket: Socket, { nodeId, clusterId }: Hello): string | null {
  if (!(socket instanceof TLSSocket)) return "no TLS";
  // The types have no word for a subject that is not there.
  const { subject } = socket.getPeerCertificate() as { subject?: { CN?: unknown; O?: unknown } };
  if (subject?.CN === nodeId && subject.O === clusterId) return null;
  const shown = JSON.stringify({ O: subject?.O, CN: subject?.CN }).slice(0, 200);
  return `node ${nodeId} of cluster ${clusterId} comes with a certificate of ${shown}`;
}
