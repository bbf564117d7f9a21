/** Which metrics an alert or a dashboard may ask for: those of the catalogue, and those that every scrape of the operator has. */
import { collectDefaultMetrics, Registry } from "prom-client";
import { METRICS } from "../../src/server/metric-catalogue.ts";
import { readQuery } from "./promql.ts";

/** Labels that a scrape by the chart's ServiceMonitor adds. */
const TARGET_LABELS = ["namespace", "job", "service", "pod", "instance", "endpoint", "container"];

/** Names of series to their labels, without those of the target. */
export type KnownSeries = ReadonlyMap<string, ReadonlySet<string>>;

/** As they are; the library's types leave the labels out. */
interface ProcessMetric {
  readonly name: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

/** Every series of a scrape, by the catalogue and by what prom-client tells of the process. */
export function knownSeries(): KnownSeries {
  const known = new Map<string, ReadonlySet<string>>([["up", new Set()]]);
  const add = (name: string, { type, labels }: { readonly type: string; readonly labels: readonly string[] }) => {
    if (type !== "histogram") known.set(name, new Set(labels));
    else {
      known.set(`${name}_bucket`, new Set([...labels, "le"]));
      for (const end of ["sum", "count"]) known.set(`${name}_${end}`, new Set(labels));
    }
  };
  for (const [name, metric] of Object.entries(METRICS)) add(name, metric);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const { name, type, labelNames } of registry.getMetricsAsArray() as unknown as ProcessMetric[]) {
    add(name, { type, labels: labelNames });
  }
  return known;
}

/** What is wrong with a query: metrics and labels that do not exist; empty when all is well. Throws when it is no PromQL. */
export function unknownIn(query: string, known: KnownSeries): string[] {
  const { selectors, groupings } = readQuery(query);
  const wrong: string[] = [];
  const all = new Set(TARGET_LABELS);
  for (const { metric, labels } of selectors) {
    const own = known.get(metric);
    if (own === undefined) wrong.push(`no metric ${metric || "(unnamed)"}`);
    for (const label of own ?? []) all.add(label);
    for (const label of labels) {
      if (own?.has(label) === false && !TARGET_LABELS.includes(label)) wrong.push(`${metric} has no label ${label}`);
    }
  }
  for (const label of groupings) if (!all.has(label)) wrong.push(`no label ${label} to group by`);
  return wrong;
}
