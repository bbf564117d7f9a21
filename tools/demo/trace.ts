/** Machines and pods of the openb trace (FGD, USENIX ATC 2023), read from the user's own copy. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseCsv } from "../../src/simulator/csv.ts";
import type { Machine, PodSample } from "./shapes.ts";

export const NODE_FILE = "openb_node_list_gpu_node.csv";
export const POD_FILE = "openb_pod_list_default.csv";

export interface Trace {
  readonly machines: readonly Machine[];
  readonly pods: readonly PodSample[];
}

/** @throws Error that says which folder, file or line is missing or wrong */
export function readTrace(folder: string): Trace {
  if (!existsSync(folder)) throw new Error(`TRACE=${folder}: there is no such folder`);
  if (!statSync(folder).isDirectory()) throw new Error(`TRACE=${folder}: not a folder`);
  const read = (file: string): string => {
    const path = join(folder, file);
    if (!existsSync(path)) throw new Error(`TRACE=${folder}: ${file} is missing (needed: ${NODE_FILE}, ${POD_FILE})`);
    return readFileSync(path, "utf8");
  };
  return { machines: parseMachines(read(NODE_FILE)), pods: parsePods(read(POD_FILE)) };
}

export function parseMachines(text: string): Machine[] {
  return parseCsv(NODE_FILE, text, ["sn", "cpu_milli", "memory_mib", "gpu", "model"]).map((row) => {
    const model = row.text("model");
    return {
      name: row.text("sn"),
      cpuMilli: row.number("cpu_milli"),
      memoryMib: row.number("memory_mib"),
      gpuMilli: row.number("gpu") * 1000,
      ...(model === "" ? {} : { model }),
    };
  });
}

export function parsePods(text: string): PodSample[] {
  const columns = ["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "creation_time", "deletion_time"] as const;
  return parseCsv(POD_FILE, text, [...columns, "scheduled_time"]).map((row) => {
    const begun = row.text("scheduled_time") === "" ? row.number("creation_time") : row.number("scheduled_time");
    return {
      cpuMilli: row.number("cpu_milli"),
      memoryMib: row.number("memory_mib"),
      // The column says how much of each GPU.
      gpuMilli: row.number("num_gpu") * row.number("gpu_milli"),
      seconds: Math.max(0, row.number("deletion_time") - begun),
    };
  });
}
