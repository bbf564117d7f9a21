import { writeFileSync } from "node:fs";
import type { KeyPair } from "./certificates.ts";

/** How a client proves who it is. */
export type Credentials = { readonly token: string } | { readonly certificate: KeyPair };

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");

/** Writes a kubeconfig file with one context; everything is inside it, so it can be copied. JSON is YAML. */
export function writeKubeconfig(
  path: string,
  url: string,
  caPem: string,
  name: string,
  credentials: Credentials,
): void {
  const user =
    "token" in credentials
      ? { token: credentials.token }
      : {
          "client-certificate-data": base64(credentials.certificate.certPem),
          "client-key-data": base64(credentials.certificate.keyPem),
        };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: url, "certificate-authority-data": base64(caPem) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
