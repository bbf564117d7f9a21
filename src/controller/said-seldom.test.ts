import { expect, test } from "vitest";
import { SaidSeldom } from "./said-seldom.ts";

test("the same words about the same thing are said once a minute, others at once", () => {
  let nowMs = 0;
  const seldom = new SaidSeldom({ monotonicMs: () => nowMs });
  expect(seldom.isNews("pods", "401")).toBe(true);
  expect(seldom.isNews("pods", "401")).toBe(false);
  expect(seldom.isNews("nodes", "401")).toBe(true);
  expect(seldom.isNews("pods", "503")).toBe(true);
  expect(seldom.isNews("pods", "401")).toBe(true);
  nowMs = 59_999;
  expect(seldom.isNews("pods", "401")).toBe(false);
  nowMs = 60_000;
  expect(seldom.isNews("pods", "401")).toBe(true);
});
