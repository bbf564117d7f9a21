import { execFileSync } from "node:child_process";
import { parseAllDocuments } from "yaml";
import type { Json } from "../cluster/api-client.ts";
import { RELEASE } from "./install-chart.ts";

const CHART = new URL("../../charts/proffer", import.meta.url).pathname;

/**
 * What a command of Helm such as `template` prints for the chart with these values. Throws what Helm says.
 *
 * @param helm from `ensureHelm`
 */
export function helmOnChart(
  helm: string,
  command: readonly string[],
  values: Json,
  namespace: string = RELEASE.namespace,
): string {
  const arguments_ = [...command, RELEASE.name, CHART, "--namespace", namespace, "--values", "-"];
  const options = { encoding: "utf8", input: JSON.stringify(values), stdio: "pipe", maxBuffer: 64 << 20 } as const;
  return execFileSync(helm, arguments_, options);
}

/** Every object that the chart makes of these values. */
export function renderChart(helm: string, values: Json = {}, namespace?: string): Json[] {
  const text = helmOnChart(helm, ["template"], values, namespace);
  return parseAllDocuments(text).flatMap((document) => document.toJS() ?? []);
}
