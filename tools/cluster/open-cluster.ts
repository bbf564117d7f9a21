import type { Cluster } from "./cluster.ts";
import { openKindCluster } from "./kind-cluster.ts";
import { type ClusterOptions, startCluster } from "./start-cluster.ts";
import { openUserCluster } from "./user-cluster.ts";

/**
 * The cluster that tests run on: a new embedded one; with `CLUSTER=kubeconfig` in the environment the user's current context;
 * with `CLUSTER=kind` that of kind which was created for this run. In the latter two most options do not apply, and `capabilities`
 * says what is missing. All end with `stop()`.
 */
export async function openCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const kind = process.env.CLUSTER ?? "";
  switch (kind) {
    case "":
    case "embedded":
      return startCluster(options);
    case "kubeconfig":
      return openUserCluster();
    case "kind":
      return openKindCluster(options);
    default:
      throw new Error(`CLUSTER is "${kind}"; it may be embedded (the default), kind or kubeconfig`);
  }
}
