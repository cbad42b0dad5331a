// Certificates for a cluster of the bench, made by openssl: one authority, and one certificate for each node that says who it is.
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export const canMakeCertificates = () => spawnSync("openssl", ["version"]).status === 0;

/** In `home`: ca.crt, and NODE.crt and NODE.key for each node. */
export function makeCertificates(home, clusterId, nodeIds) {
  const openssl = (...words) => execFileSync("openssl", words, { cwd: home, stdio: "pipe" });
  openssl("req", "-x509", ...KEY, "-days", "2", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.crt");
  writeFileSync(join(home, "extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  for (const id of nodeIds) {
    openssl("req", ...KEY, "-subj", `/O=${clusterId}/CN=${id}`, "-keyout", `${id}.key`, "-out", `${id}.csr`);
    const signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions"];
    openssl("x509", "-req", "-in", `${id}.csr`, ...signer, "-days", "2", "-out", `${id}.crt`);
  }
}
