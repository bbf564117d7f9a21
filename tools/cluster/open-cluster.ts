import type { Cluster } from "./cluster.ts";
import { type ClusterOptions, startCluster } from "./start-cluster.ts";
import { openUserCluster } from "./user-cluster.ts";

/**
 * The cluster that tests run on: a new embedded one, or with `CLUSTER=kubeconfig` in the environment the user's current
 * context, where the options do not apply and `capabilities` says what is missing. Either ends with `stop()`.
 */
export async function openCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const kind = process.env.CLUSTER ?? "";
  switch (kind) {
    case "":
    case "embedded":
      return startCluster(options);
    case "kubeconfig":
      return openUserCluster();
    default:
      throw new Error(`CLUSTER is "${kind}"; it may be embedded (the default) or kubeconfig`);
  }
}
