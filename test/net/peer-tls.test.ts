// Goal: over TLS a node hears nobody but the nodes of its cluster, each as itself. Method: transports on loopback, certificates made by
// openssl.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { PeerTls } from "../../src/net/options.js";
import { canMakeCertificates, Certificates } from "../certificates.js";
import { Bench } from "./harness.js";

let home = "";
let made: Certificates;
let bench = new Bench();

function tls(name: string, ca = "ca"): PeerTls {
  return { cert: made.bytes(`${name}.crt`), key: made.bytes(`${name}.key`), ca: made.bytes(`${ca}.crt`) };
}

describe.runIf(canMakeCertificates)("TLS between nodes", () => {
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "plogdb-peers-"));
    made = new Certificates(home);
    for (const name of ["ca", "other"]) made.authority(name);
    for (const name of ["n0", "n1", "n2"]) made.certificate(name, "ca", { subject: `/O=test/CN=${name}` });
    made.certificate("elsewhere", "ca", { subject: "/O=another/CN=n1" });
    made.certificate("nameless", "ca", { subject: "/CN=n1" });
    made.certificate("foreign", "other", { subject: "/O=test/CN=n1" });
    made.certificate("expired", "ca", { subject: "/O=test/CN=n1", days: 0 });
  });
  afterEach(async () => {
    await bench.close();
    bench = new Bench();
  });
  afterAll(() => {
    rmSync(home, { recursive: true });
  });

  it("carries frames both ways between nodes that are who they say", async () => {
    const a = await bench.start(0, {}, { tls: tls("n0") });
    const b = await bench.start(1, { 0: a.port }, { tls: tls("n1") });
    await Promise.all([a.heard.event("connected 1"), b.heard.event("connected 0")]);
    const large = new Uint8Array(300_000).fill(7);
    expect([a.transport.send(1, large), b.transport.send(0, Buffer.from("hello"))]).toEqual([true, true]);
    await Promise.all([a.heard.until(() => a.heard.frames.length > 0), b.heard.until(() => b.heard.frames.length > 0)]);
    expect(b.heard.frames[0]?.payload.equals(large)).toBe(true);
    expect(a.heard.frames[0]?.payload.toString()).toBe("hello");
  });

  it.each([
    ["n2", /node n1 of cluster test comes with a certificate of .*"CN":"n2"/],
    ["elsewhere", /comes with a certificate of \{"O":"another","CN":"n1"\}/],
    ["nameless", /comes with a certificate of \{"CN":"n1"\}/],
    ["foreign", /no TLS with somebody who dialled/],
    ["expired", /no TLS with somebody who dialled/],
  ])("refuses who dials with the certificate %s", async (name, reason) => {
    const a = await bench.start(0, {}, { tls: tls("n0") });
    const b = await bench.start(1, { 0: a.port }, { tls: tls(name) });
    await a.heard.until(() => a.heard.events.some((event) => reason.test(event)));
    expect([a.heard.count("connected"), b.heard.count("connected")]).toEqual([0, 0]);
    expect([a.heard.frames.length, b.heard.frames.length]).toEqual([0, 0]);
  });

  it("refuses to say anything to who listens with another's certificate, or one of another authority", async () => {
    for (const name of ["n2", "foreign"]) {
      const a = await bench.start(0, {}, { tls: tls(name, name === "foreign" ? "other" : "ca") });
      const b = await bench.start(1, { 0: a.port }, { tls: tls("n1") });
      if (name === "n2") await b.heard.event("refused 0: node n0 of cluster test comes with a certificate");
      else await a.heard.event("refused -1: no TLS");
      expect([a.heard.count("connected"), b.heard.count("connected")]).toEqual([0, 0]);
    }
  });

  it("hears nobody who speaks in plain text, and whoever speaks TLS is not heard by plain nodes", async () => {
    const a = await bench.start(0, {}, { tls: tls("n0") });
    const plain = await bench.start(1, { 0: a.port });
    await a.heard.event("refused -1: no TLS");
    const c = await bench.start(0);
    const d = await bench.start(2, { 0: c.port }, { tls: tls("n2") });
    await c.heard.event("refused -1");
    for (const { heard } of [a, plain, c, d]) expect(heard.count("connected")).toBe(0);
  });

  it("takes new certificates for connections that are made from then on", async () => {
    const a = await bench.start(0, {}, { tls: tls("foreign", "other") });
    const b = await bench.start(1, { 0: a.port }, { tls: tls("n1") });
    await a.heard.event("refused -1: no TLS");
    expect(b.heard.count("connected")).toBe(0);
    a.transport.renewCertificates(tls("n0"));
    await b.heard.event("connected 0");
    expect(() => {
      a.transport.renewCertificates({ ...tls("n0"), key: made.bytes("n1.key") });
    }).toThrow();
    b.transport.renewCertificates(tls("n1"));
    b.transport.disconnect(0, "again");
    await b.heard.until(() => b.heard.count("connected 0") === 2);
  });
});
