import { expect, test } from "vitest";
import { OutlookBudget } from "./outlook-budget.ts";

const found = { when: { estimateMs: 1 } };

test("answers that take long leave the leader four fifths of its time, whoever asks (guards T13)", () => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const budget = new OutlookBudget(clock);
  let worked = 0;
  const ask = () =>
    budget.outlook(() => {
      clock.nowMs += 50;
      worked += 50;
      return found;
    });
  for (; clock.nowMs < 10_000; clock.nowMs += 5) ask();
  expect(worked).toBeGreaterThan(1_800);
  expect(worked).toBeLessThanOrEqual(2_050);
});

test("whoever asks meanwhile is told to ask again, and answers that cost nothing are for everybody", () => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const budget = new OutlookBudget(clock);
  for (let i = 0; i < 100; i++) expect(budget.outlook(() => found)).toBe(found);
  budget.outlook(() => {
    clock.nowMs += 10;
    return found;
  });
  expect(budget.outlook(() => found)?.when.unknown).toMatch(/ask again/);
  clock.nowMs += 40;
  expect(budget.outlook(() => found)).toBe(found);
});
