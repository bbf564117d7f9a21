import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureBinaries } from "./binaries.ts";
import { clearCluster } from "./clear-cluster.ts";
import type { Cluster } from "./cluster.ts";
import { kwok } from "./control-plane.ts";
import { KIND_KUBECONFIG } from "./kind.ts";
import { kwokConfig } from "./kwok-stages.ts";
import { progressOn } from "./progress.ts";
import type { ClusterOptions } from "./start-cluster.ts";
import { spawnTied } from "./tie-to-life.ts";
import { openUserCluster } from "./user-cluster.ts";

/** Of the nodes that kwok plays: the node lifecycle controller of a whole cluster looks at leases. */
const LEASE_SECONDS = 40;

/**
 * The cluster of kind that was created for this run of the tests, as good as new: a node with our images, and kwok for the time
 * that this handle is open, if it is asked for.
 */
export async function openKindCluster({ kwok: withKwok = false, progress }: ClusterOptions): Promise<Cluster> {
  const kubeconfig = process.env[KIND_KUBECONFIG];
  if (kubeconfig === undefined) throw new Error("CLUSTER=kind: a run of the end-to-end tests creates it; see make e2e");
  const can = { fakeKubelets: withKwok, containers: true };
  const cluster = await openUserCluster({ as: "kind", kubeconfig, can });
  await clearCluster(cluster.api);
  if (!withKwok) return cluster;
  const binaries = await ensureBinaries(["kwok"], progress ?? progressOn());
  const { dir, kubeconfigPath } = cluster;
  const config = join(dir, "kwok.yaml");
  writeFileSync(config, kwokConfig());
  const spec = kwok({ dir, binaries }, { kubeconfig: kubeconfigPath, config, leaseSeconds: LEASE_SECONDS });
  const log = openSync(spec.logFile, "a");
  const child = spawnTied(spec.command, spec.args, { stdio: ["ignore", log, log] });
  closeSync(log);
  cluster.beforeItEnds(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  return cluster;
}
