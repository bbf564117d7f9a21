/** What the demo shows while it runs: pure functions from a scene to lines of text. */
import type { DemoFramework, DemoQueue } from "./cast.ts";
import type { FrameworkReading } from "./readings.ts";

export interface Row {
  readonly framework: DemoFramework;
  /** Absent until the framework has arrived, and while the operator does not answer. */
  readonly reading?: FrameworkReading;
  /** How long until it arrives; 0 when it has. */
  readonly arrivesInSeconds: number;
  readonly instances: number;
  /** Instances that have succeeded, by the pods. */
  readonly done: number;
}

export interface Scene {
  readonly elapsedSeconds: number;
  readonly rows: readonly Row[];
  readonly queues: readonly { readonly queue: DemoQueue; readonly share: number }[];
  /** Parts of the whole cluster that pods hold, 0 to 1. */
  readonly utilisation: readonly { readonly resource: string; readonly part: number }[];
  readonly lostRaces: number;
}

const HEADER = [
  "FRAMEWORK",
  "SCHEDULER",
  "QUEUE",
  "SHARE",
  "RUNNING",
  "WAITING",
  "DONE",
  "OFFERS",
  "ACCEPTED",
  "DECLINED",
  "EXPIRED",
  "RESCINDED",
  "REFUSED",
];
/** The first columns are text, the others numbers. */
const TEXT_COLUMNS = 3;
const BAR_WIDTH = 20;

/** The live table. Lines may be longer than the terminal is wide. */
export function tableOf(scene: Scene): string[] {
  const { rows, queues, utilisation, lostRaces, elapsedSeconds } = scene;
  const cells = [HEADER, ...rows.map(cellsOf)];
  const [header = "", ...lines] = aligned(cells, TEXT_COLUMNS);
  return [
    `${clock(elapsedSeconds)}   ${utilisation.map(({ resource, part }) => `${resource} ${bar(part, 10)} ${percent(part)}`).join("   ")}   lost races ${lostRaces}`,
    "",
    header,
    ...rows.flatMap((row, at) => [lines[at]!, `  ${whyOf(row)}`]),
    "",
    ...aligned(
      [
        ["QUEUE", "WEIGHT", "GUARANTEE", "SHARE".padEnd(BAR_WIDTH + 6)],
        ...queues.map(({ queue, share }) => [
          queue.name,
          String(queue.weight),
          queue.guaranteed === undefined ? "–" : percent(queue.guaranteed),
          `${percent(share).padStart(5)} ${bar(share, BAR_WIDTH)}`,
        ]),
      ],
      1,
    ),
  ];
}

/** The same in one line, for logs. */
export function plainLine({ elapsedSeconds, rows, utilisation, lostRaces }: Scene): string {
  const frameworks = rows.map(({ framework, reading, done, instances, arrivesInSeconds }) => {
    if (reading === undefined) return `${framework.name} ${arrivesInSeconds > 0 ? "not here yet" : "…"}`;
    const { running, waiting } = numbersOf(reading);
    return `${framework.name} ${running} run, ${waiting} wait, ${done}/${instances} done, share ${percent(reading.share)}`;
  });
  const used = utilisation.map(({ resource, part }) => `${resource} ${percent(part)}`).join(", ");
  return `${clock(elapsedSeconds)}  ${frameworks.join("; ")}; ${used} used; lost races ${lostRaces}`;
}

function cellsOf({ framework, reading, done, instances }: Row): string[] {
  const { name, kind, queue } = framework;
  const head = [name, kind.replace("Offers, ", ""), queue];
  const progress = `${done}/${instances}`;
  if (reading === undefined) return [...head, "–", "–", "–", progress, "–", "–", "–", "–", "–", "–"];
  const { running, waiting } = numbersOf(reading);
  // A Builtin framework has no offers: for it the operator decides and launches in one step.
  const offers = kind === "Builtin" ? Array(6).fill("–") : offersOf(reading).map(String);
  return [...head, percent(reading.share), String(running), String(waiting), progress, ...offers];
}

function numbersOf({ counts }: FrameworkReading): { running: number; waiting: number } {
  const { running = 0, staging = 0, starting = 0, pending = 0 } = counts;
  return { running: running + staging + starting, waiting: pending };
}

/** Made, and what became of them. */
function offersOf({ offers }: FrameworkReading): number[] {
  const { open = 0, accepted = 0, declined = 0, expired = 0, rescinded = 0, refused = 0 } = offers;
  const made = open + accepted + declined + expired + rescinded + refused;
  return [made, accepted, declined, expired, rescinded, refused];
}

function whyOf({ reading, arrivesInSeconds, done, instances }: Row): string {
  if (arrivesInSeconds > 0) return `its work arrives in ${Math.ceil(arrivesInSeconds)} s`;
  if (reading === undefined) return "…";
  if (done === instances) return "all done";
  const { waiting } = numbersOf(reading);
  return waiting === 0 ? "nothing waits" : `waits: ${reading.why.reason}: ${reading.why.message}`;
}

/** Columns as wide as their widest cell; the first ones to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[], textColumns: number): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, at) => (at < textColumns ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join("  ")
      .trimEnd(),
  );
}

export const percent = (part: number): string => `${(part * 100).toFixed(part < 0.0995 && part > 0 ? 1 : 0)}%`;

/** `1:05` */
export const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function bar(part: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width);
  return "█".repeat(full) + "░".repeat(width - full);
}
