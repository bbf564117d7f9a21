import { KIND_KUBECONFIG, startKindCluster } from "../../../tools/cluster/kind.ts";
import { progressOn } from "../../../tools/cluster/progress.ts";

/** With `CLUSTER=kind`, one cluster for all files of a run; every other cluster is a file's own affair. */
export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.CLUSTER !== "kind") return undefined;
  const kind = await startKindCluster({ progress: progressOn(), env: process.env, images: ["operator", "workload"] });
  process.env[KIND_KUBECONFIG] = kind.kubeconfigPath;
  return () => kind.stop();
}
