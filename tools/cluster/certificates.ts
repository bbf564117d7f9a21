/** A certificate authority of the cluster's own, without openssl: Node.js signs, but it writes no certificates. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import * as der from "./der.ts";

export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads a client's groups from here. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Dotted IPv4 addresses. */
  readonly ipAddresses?: readonly string[];
  readonly usage: "server" | "client";
}

export interface CertificateAuthority {
  readonly certPem: string;
  issue(request: CertificateRequest): KeyPair;
}

const ECDSA_WITH_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"));
const VALID_DAYS = 365;
const DAY_MS = 86_400_000;
// Clocks of containers and virtual machines are often a little off.
const SKEW_MS = 3_600_000;

/** A new ECDSA P-256 key in PEM (PKCS #8), and its public half. */
export function newKeyPem(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    privatePem: exportPrivate(privateKey),
    publicPem: publicKey.export({ type: "spki", format: "pem" }) as string,
  };
}

/** A new authority; its key lives in memory alone. */
export function createAuthority(commonName: string, now: Date): CertificateAuthority {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = distinguishedName(commonName, []);
  const self = certificate({
    subject: issuer,
    issuer,
    subjectKey: publicKey,
    signer: privateKey,
    now,
    extensions: [
      extension("2.5.29.19", true, der.sequence(der.boolean(true))),
      // keyCertSign and cRLSign
      extension("2.5.29.15", true, der.bitString(Buffer.from([0b0000_0110]), 1)),
    ],
  });
  return {
    certPem: pem("CERTIFICATE", self),
    issue(request) {
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const signed = certificate({
        subject: distinguishedName(request.commonName, request.organizations ?? []),
        issuer,
        subjectKey: keys.publicKey,
        signer: privateKey,
        now,
        extensions: leafExtensions(request),
      });
      return { certPem: pem("CERTIFICATE", signed), keyPem: exportPrivate(keys.privateKey) };
    },
  };
}

function exportPrivate(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  const attribute = (type: string, value: string) => der.set(der.sequence(der.oid(type), der.utf8String(value)));
  return der.sequence(...organizations.map((o) => attribute("2.5.4.10", o)), attribute("2.5.4.3", commonName));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

function leafExtensions(request: CertificateRequest): Buffer[] {
  const extended = request.usage === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
  const names = [
    ...(request.dnsNames ?? []).map((name) => der.contextPrimitive(2, Buffer.from(name, "ascii"))),
    ...(request.ipAddresses ?? []).map((ip) => der.contextPrimitive(7, Buffer.from(ip.split(".").map(Number)))),
  ];
  return [
    // digitalSignature
    extension("2.5.29.15", true, der.bitString(Buffer.from([0b1000_0000]), 7)),
    extension("2.5.29.37", false, der.sequence(der.oid(extended))),
    ...(names.length > 0 ? [extension("2.5.29.17", false, der.sequence(...names))] : []),
  ];
}

interface CertificateFields {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly subjectKey: KeyObject;
  readonly signer: KeyObject;
  readonly now: Date;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, section 4.1. */
function certificate(fields: CertificateFields): Buffer {
  const spki = fields.subjectKey.export({
    type: "spki",
    format: "der",
  });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x01;
  const body = der.sequence(
    der.context(0, der.integer(Buffer.from([2]))),
    der.integer(serial),
    ECDSA_WITH_SHA256,
    fields.issuer,
    der.sequence(
      der.time(new Date(fields.now.getTime() - SKEW_MS)),
      der.time(new Date(fields.now.getTime() + VALID_DAYS * DAY_MS)),
    ),
    fields.subject,
    spki,
    der.context(3, der.sequence(...fields.extensions)),
  );
  return der.sequence(body, ECDSA_WITH_SHA256, der.bitString(sign("sha256", body, fields.signer)));
}
