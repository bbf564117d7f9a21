import { LABELS, METRICS, type MetricDefinition } from "../../src/server/metric-catalogue.ts";
import { type Generator, markdownNotice } from "./output.ts";

/** `docs/reference/metrics.md`: every metric with its labels and units. */
export const metricReferenceGenerator: Generator = {
  name: "metric-reference",
  generate: () => [{ path: "docs/reference/metrics.md", content: metricReference() }],
};

const intro = `# Metrics

What \`/metrics\` exposes, apart from the metrics of the process and of Node.js (\`process_…\`, \`nodejs_…\`), which every operator
pod has. [The HTTP interface](http.md) says who may read it, [Observe](../guide/observe.md) which questions they answer.

- What the operator decides (offers, queues, tasks, the cluster) comes from the leader alone: on a standby these series are
  absent or 0. Add up over pods, or join with \`proffer_is_leader\`.
- Resources are in Prometheus' base units: cpu in cores, memory, ephemeral storage and huge pages in bytes, everything else in
  counts.
- The number of series has a fixed bound, whatever tenants create. No label names an offer, a task or a node.
- Counters begin at zero with each process; those of lost races, inverse offers and evictions with each term: use \`rate\` and
  \`increase\`, which know of that.
`;

function metricReference(): string {
  const metrics = Object.entries(METRICS).map(([name, metric]) => section(name, metric));
  const labels = Object.entries(LABELS).map(([label, about]) => `| \`${label}\` | ${about} |`);
  return [
    markdownNotice("src/server/metric-catalogue.ts") + intro,
    "## Labels\n",
    "| Label | Values |\n|---|---|",
    `${labels.join("\n")}\n`,
    "## All metrics\n",
    metrics.join("\n"),
  ].join("\n");
}

function section(name: string, { type, help, labels, unit, buckets }: MetricDefinition): string {
  const facts = [
    `- Type: ${type}`,
    `- Unit: ${unit}`,
    `- Labels: ${labels.length === 0 ? "none" : labels.map((label) => `\`${label}\``).join(", ")}`,
    ...(buckets === undefined ? [] : [`- Buckets: ${buckets.join(", ")}`]),
  ];
  return `### \`${name}\`\n\n${help}\n\n${facts.join("\n")}\n`;
}
