// Certificates for tests, made by openssl in a directory of their own.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const canMakeCertificates = spawnSync("openssl", ["version"]).status === 0;

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export class Certificates {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  path(name: string): string {
    return join(this.#home, name);
  }

  bytes(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  #openssl(...words: string[]): void {
    execFileSync("openssl", words, { cwd: this.#home, stdio: "pipe" });
  }

  /** name.key and name.crt, which others may be signed by. */
  authority(name: string): void {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`];
    this.#openssl("req", "-x509", ...KEY, "-days", "30", "-subj", `/CN=${name}`, ...files);
  }

  /** name.key and name.crt, for 127.0.0.1. `days`: from now on; 0 = it has just ended. */
  certificate(name: string, by: string, { days = 30, subject = `/CN=${name}` } = {}): void {
    this.#openssl("req", ...KEY, "-subj", subject, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    writeFileSync(this.path("extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    const signer = ["-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial"];
    const rest = ["-days", String(days), "-extfile", "extensions", "-out", `${name}.crt`];
    this.#openssl("x509", "-req", "-in", `${name}.csr`, ...signer, ...rest);
  }
}
