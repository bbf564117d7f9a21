import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { VARIANTS, type Variant } from "../../src/simulator/experiments/ancestors.ts";
import { meanRamp, RAMP_TRIALS } from "../../src/simulator/experiments/closed-forms.ts";
import { nsdiMix } from "../../src/simulator/experiments/nsdi-mix.ts";
import { type MixFigures, meanFigures, runMix } from "../../src/simulator/experiments/nsdi-run.ts";
import { type NsdiTables, readTables } from "../../src/simulator/experiments/nsdi-tables.ts";
import {
  kindTable,
  type MixRow,
  mixTable,
  rampTable,
  replaceGenerated,
} from "../../src/simulator/experiments/report.ts";
import { duration, progressOn } from "../cluster/progress.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLES = join(ROOT, "examples");
const PAGE = join(ROOT, "docs/experiments.md");

interface Options {
  readonly traces: string;
  readonly seeds: number;
  readonly only?: string;
  readonly dryRun: boolean;
}

const HELP = `
The folder holds two small tables of the Mesos paper (NSDI 2011) as CSV; docs/experiments.md says where to get them.

Examples:
  make experiments TRACES=~/papers
  npm run experiments -- --traces ~/papers --only mesos --dry-run`;

const progress = progressOn();

/** The mean of one configuration's runs. */
function figuresOf(variant: Variant, tables: NsdiTables, seeds: number): MixFigures {
  const startMs = performance.now();
  const runs = Array.from({ length: seeds }, (_, i) =>
    runMix(EXAMPLES, variant, nsdiMix(tables, i + 1), (nowMs, ended) => {
      const at = `${duration(nowMs)} of virtual time, ${Math.round(100 * ended)} % of the jobs ended`;
      progress.update(`${variant.name}, run ${i + 1} of ${seeds}: ${at}`);
    }),
  );
  progress.done(`${variant.name}: ${seeds} runs in ${duration(performance.now() - startMs)}`);
  return meanFigures(runs);
}

function ramps() {
  return RAMP_TRIALS.map((of) => {
    progress.update(`ramp-up of ${of.trial.kind} frameworks, ${of.trial.durations} task times`);
    return { of, measured: meanRamp(of.trial, of.seeds) };
  });
}

function generated(tables: NsdiTables, rows: readonly MixRow[], seeds: number): string {
  const [fixed, mesos] = ["Static partitioning", "Mesos"].map((name) =>
    rows.find(({ variant }) => variant.name === name),
  );
  const kinds = fixed === undefined || mesos === undefined ? "" : kindTable(fixed.figures, mesos.figures, tables);
  return [
    `### Sharing against partitions\n\n${seeds === 1 ? "One run, seed 1." : `Means of ${seeds} runs, seeds 1 to ${seeds}.`}`,
    mixTable(rows, tables),
    ...(kinds === "" ? [] : [`### By kind of job, Mesos against static partitions`, kinds]),
    `### Ramp-up`,
    rampTable(ramps()),
  ].join("\n\n");
}

/** Static partitioning, with which all are compared, and what is asked for. @throws Error when there is no such thing */
function variantsOf(only: string | undefined): readonly Variant[] {
  if (only === undefined) return VARIANTS;
  const chosen = VARIANTS.filter(({ ancestor }) => ancestor.folder === only);
  if (chosen.length === 0) {
    const names = [...new Set(VARIANTS.map(({ ancestor }) => ancestor.folder))].join(", ");
    throw new Error(`no configuration is called ${only}; there are: ${names}`);
  }
  return [...new Set([VARIANTS[0]!, ...chosen])];
}

function main({ traces, seeds, only, dryRun }: Options): void {
  const variants = variantsOf(only);
  const tables = readTables(traces);
  const rows = variants.map((variant) => ({ variant, figures: figuresOf(variant, tables, seeds) }));
  const text = generated(tables, rows, seeds);
  if (only !== undefined || dryRun) {
    console.log(text);
    return;
  }
  writeFileSync(PAGE, replaceGenerated(readFileSync(PAGE, "utf8"), text));
  progress.done("wrote docs/experiments.md");
}

function whole(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError("must be a whole number from 1 to 999.");
  return Number(text);
}

try {
  const command = new Command("experiments")
    .description(
      "Runs published workloads through the pure broker, once for each scheduler of before as a configuration",
    )
    .option("--traces <folder>", "the tables of the paper (or TRACES)", process.env.TRACES || "traces/papers")
    .option("--seeds <number>", "how many runs of each configuration, with the seeds 1, 2, 3, …", whole, 5)
    .option("--only <configuration>", "this one and static partitioning, printed instead of written")
    .option("--dry-run", "print the tables, write nothing", false)
    .addHelpText("after", HELP)
    .parse();
  main(command.opts<Options>());
} catch (error) {
  console.error(`experiments: ${(error as Error).message}`);
  process.exitCode = 1;
}
