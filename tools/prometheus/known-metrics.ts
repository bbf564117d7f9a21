/** Which metrics an alert or a dashboard may ask for: those of the catalogue, and those that every scrape of the operator has. */
import { METRICS } from "../../src/server/metric-catalogue.ts";
import { Metrics } from "../../src/server/metrics.ts";
import { readQuery } from "./promql.ts";

/** Labels that a scrape by the chart's ServiceMonitor adds. */
const TARGET_LABELS = ["namespace", "job", "service", "pod", "instance", "endpoint", "container"];

/** Names of series to their labels, without those of the target. */
export type KnownSeries = ReadonlyMap<string, ReadonlySet<string>>;

/** Every series of a scrape, by the catalogue and by what Node.js exposes. */
export async function knownSeries(): Promise<KnownSeries> {
  const known = new Map<string, Set<string>>([["up", new Set()]]);
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    if (type !== "histogram") known.set(name, new Set(labels));
    else
      for (const [end, more] of [
        ["bucket", ["le"]],
        ["sum", []],
        ["count", []],
      ] as const)
        known.set(`${name}_${end}`, new Set([...labels, ...more]));
  }
  const text = await new Metrics({ version: "", nodeVersion: "", views: () => undefined, nowMs: () => 0 }).scrape();
  for (const [, name = "", labels = ""] of text.matchAll(/^((?:process|nodejs)_\w+)(?:\{(.*)\})? /gm)) {
    const of = known.get(name) ?? new Set();
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) of.add(label);
    known.set(name, of);
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
