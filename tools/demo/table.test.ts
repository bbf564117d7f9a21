import { describe, expect, test } from "vitest";
import { FRAMEWORKS, QUEUES } from "./cast.ts";
import type { FrameworkReading } from "./readings.ts";
import { bar, clock, percent, plainLine, type Row, type Scene, tableOf } from "./table.ts";

const reading = (change: Partial<FrameworkReading> = {}): FrameworkReading => ({
  queue: "research",
  share: 0.412,
  counts: { pending: 12, staging: 1, starting: 2, running: 30, finished: 5 },
  offers: { open: 1, accepted: 20, declined: 3, expired: 2, rescinded: 4, refused: 0 },
  why: { reason: "no-node", message: "100 nodes: 100 insufficient cpu" },
  ...change,
});
const row = (at: number, change: Partial<Row> = {}): Row => ({
  framework: FRAMEWORKS[at]!,
  reading: reading(),
  arrivesInSeconds: 0,
  instances: 50,
  done: 5,
  ...change,
});
const { reading: _, ...notHere } = row(2, { arrivesInSeconds: 8.2, done: 0 });
const scene: Scene = {
  elapsedSeconds: 65.4,
  rows: [row(0), row(1), notHere],
  queues: [
    { queue: QUEUES[0]!, share: 0.75 },
    { queue: QUEUES[1]!, share: 0 },
  ],
  utilisation: [
    { resource: "cpu", part: 0.5 },
    { resource: "GPUs", part: 1 },
  ],
  lostRaces: 7,
};

test("the table says of each framework what it has, what came of its offers, and why it waits", () => {
  expect(`\n${tableOf(scene).join("\n")}\n`).toBe(`
1:05   cpu █████░░░░░ 50%   GPUs ██████████ 100%   lost races 7

FRAMEWORK  SCHEDULER   QUEUE       SHARE  RUNNING  WAITING  DONE  OFFERS  ACCEPTED  DECLINED  EXPIRED  RESCINDED  REFUSED
training   Builtin     research      41%       33       12  5/50       –         –         –        –          –        –
  waits: no-node: 100 nodes: 100 insufficient cpu
sweep      optimistic  research      41%       33       12  5/50      30        20         3        2          4        0
  waits: no-node: 100 nodes: 100 insufficient cpu
inference  exclusive   production      –        –        –  0/50       –         –         –        –          –        –
  its work arrives in 9 s

QUEUE       WEIGHT  GUARANTEE  SHARE
research         2          –    75% ███████████████░░░░░
production       1        40%     0% ░░░░░░░░░░░░░░░░░░░░
`);
});

test("a framework says so when nothing of it waits, and when it is done", () => {
  const idle = reading({ counts: { pending: 0, running: 1 } });
  const { reading: _unheard, ...unheard } = row(0);
  const lines = tableOf({ ...scene, rows: [row(0, { reading: idle }), row(1, { done: 50 }), unheard] });
  expect([lines[4], lines[6], lines[8]]).toEqual(["  nothing waits", "  all done", "  …"]);
});

test("without a terminal one line tells the same", () => {
  expect(plainLine(scene)).toBe(
    "1:05  training 33 run, 12 wait, 5/50 done, share 41%; sweep 33 run, 12 wait, 5/50 done, share 41%; " +
      "inference not here yet; cpu 50%, GPUs 100% used; lost races 7",
  );
});

describe("numbers for people", () => {
  test.each([
    [0, "0%"],
    [0.004, "0.4%"],
    [0.0996, "10%"],
    [0.5, "50%"],
    [1, "100%"],
  ])("%d is %s", (part, text) => expect(percent(part)).toBe(text));
  test.each([
    [0, "0:00"],
    [59.9, "0:59"],
    [61, "1:01"],
    [600, "10:00"],
  ])("%d seconds are %s", (seconds, text) => expect(clock(seconds)).toBe(text));
  test("a bar is never longer than it may be", () => {
    expect([bar(0, 4), bar(0.5, 4), bar(1, 4), bar(1.3, 4)]).toEqual(["░░░░", "██░░", "████", "████"]);
  });
});
