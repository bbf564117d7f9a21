import { Command } from "commander";
import { buildOperator } from "../tools/build.ts";
import { ensureBinaries } from "../tools/cluster/binaries.ts";
import { progressOn } from "../tools/cluster/progress.ts";
import { brokerFigures } from "./broker.ts";
import type { Figure } from "./figures.ts";
import { fullCycleFigure } from "./full-cycle.ts";
import { failoverFigures, idleFigures, sizeFigures } from "./life.ts";
import { reclaimFigure } from "./reclaim.ts";
import { shown, writeResults } from "./results.ts";
import { throughputFigures } from "./throughput.ts";

/** A group of figures that are measured together. */
interface Group {
  readonly names: readonly string[];
  readonly cluster: boolean;
  run(program: string, tell: (line: string) => void): Promise<Figure[]>;
}

const ways = ["limit", "kube_scheduler", "objects", "objects_array"];

const GROUPS: readonly Group[] = [
  { names: ["broker_cycle_s", "broker_reoffer_ms"], cluster: false, run: () => brokerFigures() },
  { names: ["broker_full_cycle_s"], cluster: false, run: async () => [fullCycleFigure()] },
  { names: ["broker_reclaim_ms"], cluster: false, run: async () => [reclaimFigure()] },
  {
    names: [...ways.map((way) => `${way}_tasks_per_s`), ...ways.map((way) => `${way}_cpu_s_per_1000`)],
    cluster: true,
    run: throughputFigures,
  },
  { names: ["failover_first_offer_s"], cluster: true, run: failoverFigures },
  { names: ["idle_writes", "idle_cpu_percent"], cluster: true, run: idleFigures },
  { names: ["restart_first_offer_s", "rss_mib"], cluster: true, run: sizeFigures },
];

async function main(only: string | undefined): Promise<void> {
  const groups = GROUPS.filter(({ names }) => only === undefined || names.includes(only));
  if (groups.length === 0) {
    throw new Error(`no figure is called ${only}; there are: ${GROUPS.flatMap(({ names }) => names).join(", ")}`);
  }
  const progress = progressOn();
  const needed = groups.some(({ cluster }) => cluster);
  if (needed) await ensureBinaries(["etcd", "kube-apiserver", "kube-scheduler"], progress);
  const program = needed ? await buildOperator() : "";
  for (const group of groups) {
    progress.done(`measuring ${group.names.join(", ")}`);
    const figures = await group.run(program, (line) => progress.done(`  ${line}`));
    writeResults(figures);
    for (const figure of figures) console.log(lineOf(figure));
  }
}

function lineOf({ name, value, unit, target, ratio }: Figure): string {
  const compared = ratio === undefined ? "" : `, ${ratio.toFixed(2)} × the reference`;
  return `${name.padEnd(32)} ${shown(value).padStart(9)} ${unit}${compared}${target === undefined ? "" : `; target ${target}`}`;
}

await new Command("bench")
  .description("Measures Proffer side by side with what it is held against; results go to bench/results/latest.jsonl.")
  .argument("[name]", "measure only this figure (and those that are measured with it)")
  .action((name?: string) => main(name ?? (process.env.ONLY || undefined)))
  .parseAsync()
  .catch((error: Error) => {
    console.error(`bench: ${error.message}`);
    process.exitCode = 1;
  });
