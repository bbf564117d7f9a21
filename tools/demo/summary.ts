/** What the demo says at its end: pure functions. */
import type { DemoQueue } from "./cast.ts";
import { clock, percent } from "./table.ts";
import type { Verdict } from "./watch.ts";

/** The queues' shares at one moment, 0 to 1, by the pods. */
export interface Moment {
  readonly seconds: number;
  readonly shares: ReadonlyMap<string, number>;
}

export interface Outcome {
  readonly verdict: Verdict;
  /** Pod events that the verdict is made of. */
  readonly events: number;
  /** Why events may be missing. */
  readonly hole: string | undefined;
  readonly queues: readonly DemoQueue[];
  readonly history: readonly Moment[];
  readonly offers: Readonly<Record<string, number>>;
  readonly lostRaces: number;
  /** Tasks whose status does not say that they have finished. */
  readonly unfinished: readonly string[];
}

const COLUMNS = 40;
const HEIGHTS = " ▁▂▃▄▅▆▇█";
const SHOWN = 10;

/** Whether the demo has shown what it is to show. */
export const succeeded = ({ verdict, hole, unfinished }: Outcome): boolean =>
  verdict.violations.length === 0 && verdict.once === verdict.expected && hole === undefined && unfinished.length === 0;

export function summaryOf(outcome: Outcome): string[] {
  const { verdict, events, hole, history, queues, lostRaces, offers, unfinished } = outcome;
  const { once, expected, unsuccessful, violations } = verdict;
  const overCommitted = violations.filter((text) => text.includes("over-committed"));
  const doubled = violations.filter((text) => !text.includes("over-committed"));
  const mark = (good: boolean) => (good ? "✔" : "✘");
  const shares = queues.map((queue) => shareLine(queue, history));
  const span = clock(history.at(-1)?.seconds ?? 0);
  const made = Object.values(offers).reduce((sum, count) => sum + count, 0);
  const ends = Object.entries(offers).filter(([, count]) => count > 0);
  return [
    `Checked against the API server's own pods (${events} events, from the first pod to the last):`,
    `  ${mark(once === expected && doubled.length === 0)} ${once} of ${expected} task instances ran exactly once` +
      (unsuccessful > 0 ? `; ${unsuccessful} pods ended without success` : ""),
    ...doubled.slice(0, SHOWN).map((text) => `      ${text}`),
    `  ${mark(overCommitted.length === 0)} no node ever held more than it has`,
    ...overCommitted.slice(0, SHOWN).map((text) => `      ${text}`),
    ...(hole === undefined ? [] : [`  ${mark(false)} events may be missing: ${hole}`]),
    ...unfinished.slice(0, SHOWN).map((text) => `  ${mark(false)} ${text}`),
    "",
    `Share of the cluster that the queues' pods held, from 0:00 to ${span}; a full block is all of it:`,
    ...shares,
    "",
    `${made} offers: ${ends.map(([end, count]) => `${count} ${end}`).join(", ")}. ` +
      `${lostRaces} launches on optimistic offers lost their race and were tried again.`,
  ];
}

function shareLine({ name, weight, guaranteed }: DemoQueue, history: readonly Moment[]): string {
  const values = history.map(({ shares }) => shares.get(name) ?? 0);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const sure = guaranteed === undefined ? "" : `, sure of ${percent(guaranteed)}`;
  const title = `${name} (weight ${weight}${sure})`;
  return `  ${title.padEnd(38)}${sparkline(values, COLUMNS)}  mean ${percent(mean)}, most ${percent(Math.max(0, ...values))}`;
}

/** Values from 0 to 1 as blocks, averaged down to `width` of them. */
export function sparkline(values: readonly number[], width: number): string {
  const columns = Math.min(width, values.length);
  return Array.from({ length: columns }, (_, column) => {
    const part = values.slice(
      Math.floor((column * values.length) / columns),
      Math.floor(((column + 1) * values.length) / columns),
    );
    const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
    return HEIGHTS[Math.round(Math.min(1, mean) * (HEIGHTS.length - 1))];
  }).join("");
}
