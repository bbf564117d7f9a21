import { oneLine } from "./printable.ts";

/** How explanations read for people: from the operator, and from a status when it cannot be asked. */

/** What has no value is left out. */
export type Line = readonly [title: string, value: string | undefined];

/** A title and what belongs to it, one line each; what has no value is left out. */
export function lines(title: string, ...entries: readonly Line[]): string {
  const width = Math.max(0, ...entries.map(([name, value]) => (value ? name.length : 0)));
  const rest = entries.filter(([, value]) => value).map(([name, value]) => `  ${`${name}:`.padEnd(width + 3)}${value}`);
  return `${[title, ...rest].map(oneLine).join("\n")}\n`;
}

/** Why it is so, and what to do about it. */
export function whyLines(
  why: { reason: string; message: string; meaning: string | undefined; whatToDo: string | undefined } | undefined,
): Line[] {
  if (why === undefined) return [];
  return [
    ["Why", `${why.reason}: ${why.message}`],
    ["Means", why.meaning],
    ["What to do", why.whatToDo],
  ];
}

/** `cpu 1, memory 2Gi`. */
export function amountsText(amounts: Readonly<Record<string, string | number>>): string {
  return Object.entries(amounts)
    .map(([resource, amount]) => `${resource} ${amount}`)
    .join(", ");
}

/** Counts that are not zero. */
export function countsText(counts: object): string {
  const present = Object.entries(counts).filter(([, count]) => count !== 0);
  return present.length === 0 ? "none" : present.map(([name, count]) => `${name} ${count}`).join(", ");
}

export const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;
