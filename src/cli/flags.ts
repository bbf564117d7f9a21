import { type Command, Option } from "commander";
import type { ConnectionFlags } from "./connection.ts";

const NAMESPACE = "the namespace that is meant (default: the context's or the pod's own)";

/** Adds the flags that say which cluster is meant, and as whom; `connect` takes what they come to. */
export function withConnectionFlags(command: Command, { shortNamespace = true } = {}): Command {
  return command
    .option(`${shortNamespace ? "-n, " : ""}--namespace <name>`, NAMESPACE)
    .option("--kubeconfig <file>", "a kubeconfig (default: KUBECONFIG, the pod's ServiceAccount, ~/.kube/config)")
    .option("--context <name>", "a context of the kubeconfig")
    .option("--cluster <name>", "a cluster of the kubeconfig")
    .option("--user <name>", "a user of the kubeconfig")
    .option("-s, --server <url>", "the address of the API server")
    .option("--token <token>", "a bearer token instead of other credentials")
    .option("--as <user>", "act as somebody else, where you may")
    .option("--certificate-authority <file>", "the authority of the API server's certificate")
    .addOption(new Option("--insecure-skip-tls-verify", "do not check the API server's certificate"));
}

/** Names of what `withConnectionFlags` adds, as commander gives them. */
export const CONNECTION_FLAGS = [
  "namespace",
  "kubeconfig",
  "context",
  "cluster",
  "user",
  "server",
  "token",
  "as",
  "certificateAuthority",
  "insecureSkipTlsVerify",
] as const;

/** Of all flags, those of the connection. */
export function connectionFlags(flags: object): ConnectionFlags {
  const chosen = Object.entries(flags).filter(([name]) => CONNECTION_FLAGS.some((known) => known === name));
  return Object.fromEntries(chosen);
}
