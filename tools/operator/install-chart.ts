import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Cluster } from "../cluster/cluster.ts";
import { ensureHelm } from "../cluster/helm-kubectl.ts";

const run = promisify(execFile);

/** The release that tests, demo and benches install. */
export const RELEASE = { name: "proffer", namespace: "proffer-system" } as const;

const CHART = new URL("../../charts/proffer", import.meta.url).pathname;

/**
 * Installs (or upgrades) the chart with helm, without the operator's Deployment: the operator runs as a process with the
 * chart's own ServiceAccount, so that a right that the chart forgets fails where it is needed.
 */
export async function installChart(cluster: Cluster, values: Readonly<Record<string, string>> = {}): Promise<void> {
  const helm = await ensureHelm();
  const sets = Object.entries({ "operator.enabled": "false", ...values }).flatMap(([key, value]) => [
    "--set",
    `${key}=${value}`,
  ]);
  const args = ["upgrade", "--install", RELEASE.name, CHART, "-n", RELEASE.namespace, "--create-namespace", ...sets];
  await run(helm, args, { env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath } }).catch((error: Error) => {
    throw new Error(`helm could not install the chart: ${error.message}`);
  });
}
