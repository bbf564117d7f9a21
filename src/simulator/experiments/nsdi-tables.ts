import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseCsv } from "../csv.ts";

/** Published tables of the Mesos paper (Hindman et al., NSDI 2011), read from the user's own copy. */
export interface NsdiTables {
  /** Table 3: the Facebook Hadoop mix. */
  readonly bins: readonly { bin: number; jobType: string; maps: number; reduces: number; jobs: number }[];
  /** Table 4: sums of job running times in seconds. */
  readonly frameworks: readonly { framework: string; staticS: number; mesosS: number; speedup: number }[];
  /** Table 5: mean running time of a kind of job on its static partition, in seconds. */
  readonly kinds: readonly { framework: string; jobType: string; staticS: number; speedup: number }[];
}

export const WORKLOAD_FILE = "mesos_nsdi11_table3_workload.csv";
export const RESULTS_FILE = "mesos_nsdi11_table4_table5.csv";

/** @throws Error that says which folder, file or line is missing or wrong */
export function readTables(folder: string): NsdiTables {
  const where = `${folder}: docs/experiments.md says what belongs there, and where to get it`;
  if (!existsSync(folder)) throw new Error(`there is no folder ${where}`);
  if (!statSync(folder).isDirectory()) throw new Error(`not a folder: ${where}`);
  const read = (file: string) => {
    const path = join(folder, file);
    if (!existsSync(path)) throw new Error(`${file} is missing in ${where}`);
    return readFileSync(path, "utf8");
  };
  return parseTables(read(WORKLOAD_FILE), read(RESULTS_FILE));
}

/** @throws Error that says which line is wrong */
export function parseTables(workload: string, results: string): NsdiTables {
  const rows = parseCsv(RESULTS_FILE, results, ["table", "framework", "job_type", "static_s", "mesos_s", "speedup"]);
  return {
    bins: parseCsv(WORKLOAD_FILE, workload, ["bin", "job_type", "map_tasks", "reduce_tasks", "jobs"]).map((row) => ({
      bin: row.number("bin"),
      jobType: row.text("job_type"),
      maps: row.number("map_tasks"),
      reduces: row.number("reduce_tasks"),
      jobs: row.number("jobs"),
    })),
    frameworks: rows
      .filter((row) => row.text("table") === "4")
      .map((row) => ({
        framework: row.text("framework"),
        staticS: row.number("static_s"),
        mesosS: row.number("mesos_s"),
        speedup: row.number("speedup"),
      })),
    kinds: rows
      .filter((row) => row.text("table") === "5")
      .map((row) => ({
        framework: row.text("framework"),
        jobType: row.text("job_type"),
        staticS: row.number("static_s"),
        speedup: row.number("speedup"),
      })),
  };
}
