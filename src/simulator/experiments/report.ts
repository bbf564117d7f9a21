import type { Variant } from "./ancestors.ts";
import { published, type RAMP_TRIALS, type Ramp } from "./closed-forms.ts";
import { TENANTS } from "./nsdi-mix.ts";
import type { MixFigures, Tenant } from "./nsdi-run.ts";
import type { NsdiTables } from "./nsdi-tables.ts";

export interface MixRow {
  readonly variant: Variant;
  readonly figures: MixFigures;
}

/** How the tables call the tenants. */
const FRAMEWORKS: Readonly<Record<Tenant, string>> = {
  facebook: "Facebook Hadoop Mix",
  large: "Large Hadoop Mix",
  spark: "Spark",
  mpi: "Torque/MPI",
};

const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
const whole = (n: number) => Math.round(n).toLocaleString("en-US");
const table = (header: readonly string[], rows: readonly (readonly string[])[]) =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** Every configuration against the first one. */
export function mixTable(rows: readonly MixRow[], { frameworks }: NsdiTables): string {
  const base = rows[0]!.figures;
  const names = TENANTS.map((tenant) => FRAMEWORKS[tenant]);
  const header = [
    "Configuration",
    "CPU",
    "Memory",
    ...names,
    "Mean wait, s",
    "Fairness error",
    "Lost races",
    "Taken back",
    "All done, s",
  ];
  const speedup = (tenant: Tenant) => frameworks.find(({ framework }) => framework === FRAMEWORKS[tenant])?.speedup;
  const publishedRow = TENANTS.map((tenant) => speedup(tenant)?.toFixed(2) ?? "");
  return table(header, [
    ...rows.map(({ variant, figures }) => [
      variant.name,
      percent(figures.cpu),
      percent(figures.memory),
      ...TENANTS.map((tenant) => (base.jobSeconds[tenant] / figures.jobSeconds[tenant]).toFixed(2)),
      figures.waitSeconds.toFixed(1),
      percent(figures.fairnessError),
      whole(figures.lostRaces),
      whole(figures.taken),
      whole(figures.endSeconds),
    ]),
    ["*Mesos, as published*", "+10 %", "+17 %", ...publishedRow, "", "", "", "", ""],
  ]);
}

/** Running times by kind of job, as in the paper's Table 5. */
export function kindTable(fixed: MixFigures, shared: MixFigures, { kinds }: NsdiTables): string {
  const header = ["Framework", "Job", "Static, s", "published", "Speed-up", "published"];
  const rows = kinds.map(({ framework, jobType, staticS, speedup }) => {
    const tenant = TENANTS.find((name) => FRAMEWORKS[name] === framework);
    const [before, after] = [fixed, shared].map(
      ({ kindSeconds }) => kindSeconds.get(`${tenant} ${jobType}`) ?? Number.NaN,
    );
    return [framework, jobType, whole(before!), whole(staticS), (before! / after!).toFixed(2), speedup.toFixed(2)];
  });
  return table(header, rows);
}

/** The closed forms of the paper's Table 2 and what came out, in units of the mean task time. */
export function rampTable(rows: readonly { of: (typeof RAMP_TRIALS)[number]; measured: Ramp }[]): string {
  const header = [
    "Framework",
    "Task times",
    "Slots",
    "β",
    "Ramp-up",
    "published",
    "Completion",
    "published",
    "Utilisation",
    "published",
  ];
  return table(
    header,
    rows.map(({ of: { trial }, measured }) => {
      const expected = published(trial.kind, trial.durations, trial.slots, trial.beta);
      const pairs = (["rampUp", "completion", "utilisation"] as const).flatMap((figure) => [
        measured[figure].toFixed(2),
        expected[figure].toFixed(2),
      ]);
      return [trial.kind, trial.durations, `${trial.slots}`, `${trial.beta}`, ...pairs];
    }),
  );
}

const BEGIN = "<!-- begin: written by `make experiments` -->";
const END = "<!-- end: written by `make experiments` -->";

/** The page with its generated part anew. @throws Error when the page has no such part */
export function replaceGenerated(page: string, generated: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the page has no lines "${BEGIN}" and "${END}"`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${generated.trim()}\n\n${page.slice(end)}`;
}
