import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { Figure } from "./figures.ts";

const FILE = new URL("results/latest.jsonl", import.meta.url).pathname;

/** A line of the results: the figure, and where and when it was measured. */
export interface Result extends Figure {
  readonly commit: string;
  readonly machine: string;
  readonly at: string;
}

export function readResults(): Result[] {
  if (!existsSync(FILE)) return [];
  const lines = readFileSync(FILE, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Result);
}

/** Puts new figures in the place of older ones of the same name; the others stay. */
export function writeResults(figures: readonly Figure[]): void {
  const stamp = { commit: commit(), machine: machine(), at: new Date().toISOString() };
  const results = new Map(readResults().map((result) => [result.name, result]));
  for (const figure of figures) results.set(figure.name, { ...figure, ...stamp });
  mkdirSync(new URL("results", import.meta.url), { recursive: true });
  writeFileSync(FILE, [...results.values()].map((result) => `${JSON.stringify(result)}\n`).join(""));
}

function commit(): string {
  return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", cwd: import.meta.dirname }).trim();
}

function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() || process.arch}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
}

/** A number as people read it: three significant digits. */
export function shown(value: number): string {
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
