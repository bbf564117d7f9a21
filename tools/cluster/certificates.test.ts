import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { createAuthority } from "./certificates.ts";

const NOW = new Date();

test("an authority signs itself and may sign others", () => {
  const certificate = new X509Certificate(createAuthority("test", NOW).certPem);
  expect(certificate.ca).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.subject).toBe("CN=test");
});

test("a leaf carries its names and its issuer's signature", () => {
  const authority = createAuthority("test", NOW);
  const { certPem } = authority.issue({
    commonName: "alice",
    organizations: ["dev", "ops"],
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    usage: "client",
  });
  const certificate = new X509Certificate(certPem);
  expect(certificate.subject).toBe("O=dev\nO=ops\nCN=alice");
  expect(certificate.subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1");
  expect(certificate.ca).toBe(false);
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(certificate.checkIssued(new X509Certificate(authority.certPem))).toBe(true);
  expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
});

test("both sides of a TLS connection accept each other's certificate", async () => {
  const authority = createAuthority("test", NOW);
  const server = authority.issue({ commonName: "server", ipAddresses: ["127.0.0.1"], usage: "server" });
  const client = authority.issue({ commonName: "alice", usage: "client" });
  const listener = createServer({
    cert: server.certPem,
    key: server.keyPem,
    ca: authority.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "secureConnection") as Promise<[TLSSocket]>;
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", ca: authority.certPem, cert: client.certPem, key: client.keyPem });
  const [[peer]] = await Promise.all([accepted, once(socket, "secureConnect")]);
  expect(socket.authorized).toBe(true);
  expect(peer.getPeerCertificate().subject.CN).toBe("alice");
  socket.destroy();
  peer.destroy();
  listener.close();
});
