import { ensureHelm } from "../cluster/helm-kubectl.ts";
import { runCommand } from "./command.ts";
import type { StepResult } from "./step.ts";

const EVERYTHING_ON = [
  "metrics.serviceMonitor.enabled=true",
  "metrics.prometheusRule.enabled=true",
  "metrics.dashboards.enabled=true",
  "networkPolicy.egress.restrict=true",
];

/** `helm lint` with the values as they come, with every optional part on, and with the operator left out. */
export async function lintChart(): Promise<StepResult> {
  const helm = await ensureHelm();
  const variants = [[], EVERYTHING_ON, ["operator.enabled=false"]];
  const results: StepResult[] = [];
  for (const values of variants) {
    const set = values.flatMap((value) => ["--set", value]);
    results.push(await runCommand(helm, ["lint", "--strict", "--quiet", ...set, "charts/proffer"]));
  }
  return { ok: results.every(({ ok }) => ok), output: results.map(({ output }) => output).join("\n") };
}
