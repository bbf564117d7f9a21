import { type Result, readResults, shown } from "../../bench/results.ts";
import { type Generator, markdownNotice } from "./output.ts";

const INTRODUCTION = `# Performance

Measured by \`make bench\`; this page is generated from \`bench/results/latest.jsonl\`. Machines differ and are noisy: trust the
ratios, which come from runs side by side, more than the numbers. \`make bench ONLY=name\` measures one figure again.

- \`limit\`: pods created already bound, by the fastest client we could write. Nobody can be faster.
- \`kube_scheduler\`: the same pods bound by kube-scheduler 1.36 (qps 5000).
- \`objects\`: 10,000 Tasks of one instance, from the first Task created to the last pod created on its node.
- \`objects_array\`: ten Tasks of 1,000 instances, likewise.

Each run has a fresh control plane of 1,000 nodes without kubelets; the ways take turns, three times, and the middle value
counts. CPU seconds are those of API server, etcd and scheduler (for Proffer: the operator) together, until the last status
is written. A restart and the memory are measured with 5,000 nodes and 50,000 pods of 50 Tasks instead. The broker's figures
are of the pure core alone: a full cycle is a round and all of its answers with 10,000 nodes and 1,000 frameworks (Mesos
published 1.06 s).
`;

/** \`docs/performance.md\`, from the last results. */
export const performanceGenerator: Generator = {
  name: "performance",
  generate: () => [
    { path: "docs/performance.md", content: markdownNotice("bench/results/latest.jsonl") + page(readResults()) },
  ],
};

function page(results: readonly Result[]): string {
  if (results.length === 0) return `${INTRODUCTION}\nNothing has been measured yet.\n`;
  const header = "| Figure | Value | Unit | Target | Reference | Ratio |\n|---|---|---|---|---|---|";
  const machines = [
    ...new Set(results.map(({ machine, commit, at }) => `${machine}, commit ${commit}, ${at.slice(0, 10)}`)),
  ];
  const tables = [header, ...results.map(row)].join("\n");
  return `${INTRODUCTION}\n${tables}\n\n${details(results)}Measured on: ${machines.join("; ")}.\n`;
}

function row({ name, value, unit, target = "", reference, ratio }: Result): string {
  const held = reference === undefined ? "" : shown(reference);
  return `| \`${name}\` | ${shown(value)} | ${unit} | ${target} | ${held} | ${ratio === undefined ? "" : ratio.toFixed(2)} |`;
}

/** The parts of the throughput figures: CPU by process, API writes by kind. */
function details(results: readonly Result[]): string {
  const rows = results.flatMap(({ name, details: found }) => {
    const cpu = found?.cpuS as Record<string, number> | undefined;
    if (cpu === undefined) return [];
    const writes = Object.entries((found?.writesAPod ?? {}) as Record<string, number>).filter(([, n]) => n >= 0.001);
    const written = writes.map(([kind, n]) => `${kind} ${shown(n)}`).join(", ");
    const backlog = shown((found?.backlogS as number | undefined) ?? 0);
    return [
      `| \`${name}\` | ${shown(cpu.apiserver!)} | ${shown(cpu.etcd!)} | ${shown(cpu.scheduler!)} | ${backlog} | ${written} |`,
    ];
  });
  if (rows.length === 0) return "";
  const header =
    "| Figure | API server | etcd | Scheduler | Backlog of statuses, s | API writes a pod |\n|---|---|---|---|---|---|";
  return `CPU seconds per 1,000 pods, by process:\n\n${header}\n${rows.join("\n")}\n\n`;
}
