import { oneLine } from "../server/printable.ts";

/** Columns as kubectl prints them: as wide as their widest cell, three spaces between, nothing behind the last. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(oneLine));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, lengthOf(cell));
  }
  const padded = (cell: string, at: number): string => cell + " ".repeat(widths[at]! + 3 - lengthOf(cell));
  return cells.map((row) => `${row.map(padded).join("").trimEnd()}\n`).join("");
}

/** In characters, as a terminal counts them. */
const lengthOf = (text: string): number => [...text].length;

const units = [
  ["y", 365 * 86_400],
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** How long ago, as kubectl says it: `45s`, `3m12s`, `5h`, `2d3h`, `40d`, `2y11d`. `0s` for what is still to come. */
export function ageText(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1_000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return two(seconds, "m", "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(seconds, "h", "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return two(seconds, "d", "h");
  if (days < 730) return `${days}d`;
  return days < 8 * 365 ? two(seconds, "y", "d") : `${Math.floor(days / 365)}y`;
}

/** The larger unit and, if it is not zero, the rest in the smaller one. */
function two(seconds: number, large: string, small: string): string {
  const size = (name: string): number => units.find(([unit]) => unit === name)![1];
  const whole = Math.floor(seconds / size(large));
  const rest = Math.floor((seconds % size(large)) / size(small));
  return `${whole}${large}${rest === 0 ? "" : `${rest}${small}`}`;
}
