import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { VARIANTS } from "./ancestors.ts";
import { nsdiMix } from "./nsdi-mix.ts";
import { runMix } from "./nsdi-run.ts";
import { parseTables, RESULTS_FILE, readTables, WORKLOAD_FILE } from "./nsdi-tables.ts";
import { kindTable, mixTable, replaceGenerated } from "./report.ts";

// Not the paper's figures: a small workload of the same form.
const WORKLOAD = "bin,job_type,map_tasks,reduce_tasks,jobs\n1,selection,1,0,3\n5,aggregation,100,10,2\n8,join,40,6,1\n";
const RESULTS = `table,framework,job_type,static_s,mesos_s,speedup
4,Facebook Hadoop Mix,all,100,50,2.00
5,Torque/MPI,small tachyon,60,,0.50
5,Torque/MPI,large tachyon,90,,0.50
`;
const tables = parseTables(WORKLOAD, RESULTS);
const EXAMPLES = join(import.meta.dirname, "../../../examples");
const variant = (name: string) => VARIANTS.find((other) => other.name === name)!;
/** Those that are quickly run. */
const jobs = nsdiMix(tables, 1).filter(
  ({ name, tenant }) => tenant !== "large" && (tenant !== "spark" || name === "spark-1"),
);

describe("the mix of four frameworks", () => {
  test("has the jobs of the tables and of the paper's text", () => {
    const mix = nsdiMix(tables, 1);
    const of = (tenant: string) => mix.filter((job) => job.tenant === tenant);
    expect(
      of("facebook")
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(["aggregation(5)", "aggregation(5)", "join(8)", "selection(1)", "selection(1)", "selection(1)"]);
    expect(of("large").map(({ stages }) => stages[0]!.runMs.length)).toEqual(Array(10).fill(2_400));
    expect(of("spark")).toHaveLength(5);
    expect(of("mpi").map(({ kind, stages }) => [kind, stages[0]!.runMs.length, stages[0]!.rigid])).toEqual([
      ...Array(6).fill(["small tachyon", 24, true]),
      ...Array(2).fill(["large tachyon", 24, true]),
    ]);
  });

  test("divides a join's maps and reduces among its steps and loses none", () => {
    const { stages } = nsdiMix(tables, 1).find(({ kind }) => kind === "join(8)")!;
    expect(stages.map(({ runMs }) => runMs.length)).toEqual([10, 1, 10, 2, 10, 1, 10, 2]);
  });

  test("is the same for the same seed, and another for another", () => {
    expect(nsdiMix(tables, 7)).toEqual(nsdiMix(tables, 7));
    expect(nsdiMix(tables, 7)).not.toEqual(nsdiMix(tables, 8));
  });

  test("runs faster when it is shared than in partitions, always alike, and without anybody starved", () => {
    const [fixed, shared] = ["Static partitioning", "Mesos"].map((name) => runMix(EXAMPLES, variant(name), jobs));
    expect(shared!.cpu).toBeGreaterThan(fixed!.cpu);
    expect(shared!.jobSeconds.facebook).toBeLessThan(fixed!.jobSeconds.facebook);
    expect(shared!.jobSeconds.spark).toBeLessThan(fixed!.jobSeconds.spark);
    expect(shared!.fairnessError).toBeLessThan(fixed!.fairnessError);
    expect(runMix(EXAMPLES, variant("Mesos"), jobs)).toEqual(shared);
  });

  test("is told as a table against the partitions", () => {
    const figures = runMix(EXAMPLES, variant("Mesos"), jobs);
    const rows = [{ variant: variant("Mesos"), figures }];
    expect(mixTable(rows, tables)).toMatch(/\| Mesos \|.*\| 1\.00 \|.*published\* .*\| 2\.00 \|/s);
    expect(kindTable(figures, figures, tables)).toContain("| Torque/MPI | small tachyon |");
  });
});

describe("the tables of the paper", () => {
  const folder = mkdtempSync(join(tmpdir(), "tables-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("are missing: which, and where it is told what they are", () => {
    expect(() => readTables(join(folder, "nowhere"))).toThrow(/there is no folder .*nowhere: docs\/experiments\.md/);
    expect(() => readTables(import.meta.filename)).toThrow("not a folder");
    writeFileSync(join(folder, WORKLOAD_FILE), WORKLOAD);
    expect(() => readTables(folder)).toThrow(`${RESULTS_FILE} is missing`);
    writeFileSync(join(folder, RESULTS_FILE), RESULTS);
    expect(readTables(folder)).toEqual(tables);
  });

  test.each([
    {
      name: "a column",
      workload: "bin,jobs\n1,2\n",
      says: "does not name the column job_type, map_tasks, reduce_tasks",
    },
    { name: "lines", workload: WORKLOAD.split("\n")[0]!, says: "there is nothing in it" },
    { name: "a number", workload: WORKLOAD.replace("100,10,2", "100,ten,2"), says: 'line 3: reduce_tasks is "ten"' },
  ])("lack $name: where", ({ workload, says }) => {
    expect(() => parseTables(workload, RESULTS)).toThrow(says);
  });
});

describe("the page", () => {
  const page =
    "# A\n<!-- begin: written by `make experiments` -->\nold\n<!-- end: written by `make experiments` -->\nB\n";

  test("keeps what was written by hand", () => {
    const text = replaceGenerated(page, "new\n");
    expect(text).toMatch(/^# A\n<!--.*\n\nnew\n\n<!--.*\nB\n$/);
    expect(replaceGenerated(text, "new")).toBe(text);
  });

  test("without the marks is refused", () => {
    expect(() => replaceGenerated("# A\n", "new")).toThrow("has no lines");
  });
});
