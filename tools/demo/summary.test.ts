import { describe, expect, test } from "vitest";
import { QUEUES } from "./cast.ts";
import { type Outcome, sparkline, succeeded, summaryOf } from "./summary.ts";

const outcome = (change: Partial<Outcome> = {}): Outcome => ({
  verdict: { once: 3, expected: 3, unsuccessful: 0, violations: [] },
  events: 21,
  hole: undefined,
  queues: QUEUES,
  history: [0, 30, 61].map((seconds, at) => ({ seconds, shares: new Map([["research", at / 2]]) })),
  offers: { open: 0, accepted: 4, declined: 1 },
  lostRaces: 2,
  unfinished: [],
  ...change,
});
const wrong = (violation: string) => ({ once: 3, expected: 3, unsuccessful: 0, violations: [violation] });

describe("the demo has succeeded", () => {
  test("when all is well", () => expect(succeeded(outcome())).toBe(true));

  test.each([
    { name: "an instance did not run", change: { verdict: { ...outcome().verdict, once: 2 } } },
    { name: "a node was over-committed", change: { verdict: wrong("node a is over-committed") } },
    { name: "events may be missing", change: { hole: "the history is gone" } },
    { name: "a status does not say that its task has finished", change: { unfinished: ["ns/t says Running"] } },
  ])("but not when $name", ({ change }) => {
    expect(succeeded(outcome(change))).toBe(false);
    expect(summaryOf(outcome(change)).join("\n")).toContain("✘");
  });
});

test("the summary says what was counted", () => {
  expect(`\n${summaryOf(outcome()).join("\n")}\n`).toBe(`
Checked against the API server's own pods (21 events, from the first pod to the last):
  ✔ 3 of 3 task instances ran exactly once
  ✔ no node ever held more than it has

Share of the cluster that the queues' pods held, from 0:00 to 1:01; a full block is all of it:
  research (weight 2)                    ▄█  mean 50%, most 100%
  production (weight 1, sure of 40%)         mean 0%, most 0%

5 offers: 4 accepted, 1 declined. 2 launches on optimistic offers lost their race and were tried again.
`);
});

test("what is wrong stands below the line that it belongs to", () => {
  const verdict = { once: 2, expected: 3, unsuccessful: 1, violations: ["t ran twice", "node a is over-committed"] };
  expect(summaryOf(outcome({ verdict, unfinished: ["ns/t says Running, not Finished"] })).slice(1, 6)).toEqual([
    "  ✘ 2 of 3 task instances ran exactly once; 1 pods ended without success",
    "      t ran twice",
    "  ✘ no node ever held more than it has",
    "      node a is over-committed",
    "  ✘ ns/t says Running, not Finished",
  ]);
});

test("a line of blocks is as long as there are values, and no longer than it may be", () => {
  expect(sparkline([0, 0.5, 1, 2], 10)).toBe(" ▄██");
  expect(sparkline([0, 0, 1, 1], 2)).toBe(" █");
  expect(sparkline([0, 1, 1], 2)).toBe(" █");
  expect(sparkline([], 5)).toBe("");
});
