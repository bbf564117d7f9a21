/** Machines and pods of the openb trace (FGD, USENIX ATC 2023), read from the user's own copy. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
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
  return parse(NODE_FILE, text, ["sn", "cpu_milli", "memory_mib", "gpu", "model"], (row) => {
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
  return parse(POD_FILE, text, [...columns, "scheduled_time"], (row) => {
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

interface Row<Column> {
  text(column: Column): string;
  number(column: Column): number;
}

/** CSV without quotes, with a header that names at least these columns. */
function parse<Column extends string, T>(
  file: string,
  text: string,
  columns: readonly Column[],
  make: (row: Row<Column>) => T,
): T[] {
  const [header = "", ...lines] = text.split(/\r?\n/);
  const names = header.split(",");
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw new Error(`${file}: the first line does not name the column ${missing.join(", ")}`);
  const rows = lines.flatMap((line, at) => {
    if (line.trim() === "") return [];
    const cells = line.split(",");
    const textOf = (column: Column) => cells[names.indexOf(column)]?.trim() ?? "";
    const number = (column: Column) => {
      const cell = textOf(column);
      if (!/^\d+(\.\d+)?$/.test(cell)) throw new Error(`${file}, line ${at + 2}: ${column} is "${cell}", not a number`);
      return Number(cell);
    };
    return [make({ text: textOf, number })];
  });
  if (rows.length === 0) throw new Error(`${file}: there is nothing in it`);
  return rows;
}
