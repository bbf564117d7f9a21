/** Asks a real Prometheus what the chart's dashboards ask. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Json } from "../../../tools/cluster/api-client.ts";
import { type PanelQuery, queriesOf, substitute, variablesOf } from "../../../tools/dashboards/read.ts";
import type { PrometheusProcess } from "../../../tools/prometheus/start-prometheus.ts";

const FOLDER = new URL("../../../charts/proffer/dashboards", import.meta.url).pathname;

/** Four scrapes of `startMonitoring`, as Grafana would have it. */
const OF_GRAFANA = { __rate_interval: "8s" };
const RANGE_SECONDS = 600;
const STEP_SECONDS = 2;

type Values = Readonly<Record<string, string | readonly string[]>>;

/** The chart's dashboards by name. */
export const DASHBOARD_FILES: Readonly<Record<string, Json>> = Object.fromEntries(
  readdirSync(FOLDER).map((file) => [basename(file, ".json"), JSON.parse(readFileSync(join(FOLDER, file), "utf8"))]),
);

/** The values of a dashboard's variables: of one that takes many all, of another the first. Throws when there are none. */
export async function valuesOf(dashboard: Json, prometheus: PrometheusProcess): Promise<Values> {
  const values: Record<string, string | readonly string[]> = { ...OF_GRAFANA };
  for (const { name, label, selector, multi } of variablesOf(dashboard)) {
    const found = await prometheus.labelValues(label, substitute(selector, values));
    if (found[0] === undefined) throw new Error(`the variable ${name} has no values`);
    values[name] = multi ? found : found[0];
  }
  return values;
}

/** Queries of a dashboard that bring no number at all at any time of the last minutes, as `PANEL: QUERY`. */
export async function emptyPanels(dashboard: Json, prometheus: PrometheusProcess): Promise<string[]> {
  const values = await valuesOf(dashboard, prometheus);
  const empty: string[] = [];
  for (const query of queriesOf(dashboard)) {
    const numbers = await numbersOf(query, values, prometheus);
    if (!numbers.some(Number.isFinite)) empty.push(`${query.panel}: ${substitute(query.expr, values)}`);
  }
  return empty;
}

async function numbersOf(
  { expr, instant }: PanelQuery,
  values: Values,
  prometheus: PrometheusProcess,
): Promise<number[]> {
  const query = substitute(expr, values);
  if (instant) return (await prometheus.query(query)).map(({ value }) => value);
  const series = await prometheus.queryRange(query, RANGE_SECONDS, STEP_SECONDS);
  return series.flatMap((one) => one.values);
}
