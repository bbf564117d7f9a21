import { expect, test } from "vitest";
import { countTests, summary } from "./vitest-report.ts";

const file = (status: string, ...tests: string[]) => ({
  name: "a.test.ts",
  status,
  assertionResults: tests.map((one) => ({ status: one, ancestorTitles: [""] })),
});

test.each([
  {
    name: "tests are counted by what became of them",
    files: [file("failed", "passed", "failed", "skipped"), file("passed", "passed", "todo", "pending")],
    exitCode: 1,
    expected: { passed: 2, failed: 1, skipped: 3, remarks: [] },
  },
  {
    name: "a file that could not be loaded is a failure",
    files: [file("passed", "passed"), file("failed")],
    exitCode: 1,
    expected: { passed: 1, failed: 1, skipped: 0, remarks: ["a.test.ts failed outside its tests"] },
  },
  {
    name: "a file that failed after its tests had passed is a failure",
    files: [file("failed", "passed")],
    exitCode: 1,
    expected: { passed: 1, failed: 1, skipped: 0, remarks: ["a.test.ts failed outside its tests"] },
  },
  {
    name: "an error outside tests is a failure",
    files: [file("passed", "passed")],
    exitCode: 1,
    expected: {
      passed: 1,
      failed: 1,
      skipped: 0,
      remarks: ["vitest ended with exit code 1 though no test failed"],
    },
  },
  {
    name: "no tests at all are a failure",
    files: [],
    exitCode: 0,
    expected: { passed: 0, failed: 1, skipped: 0, remarks: ["no tests were found"] },
  },
])("$name", ({ files, exitCode, expected }) => {
  expect(countTests({ testResults: files }, exitCode)).toEqual(expected);
});

test("why tests were skipped is told once, with how many they are", () => {
  const why = "promtool (skipped: no apt-get (or none that works) on the PATH)";
  const assertionResults = [
    { status: "skipped", ancestorTitles: ["", why] },
    { status: "skipped", ancestorTitles: ["", why, "in detail"] },
    { status: "passed", ancestorTitles: ["", "of titles (skipped: so it says)"] },
    { status: "skipped", ancestorTitles: [""] },
    { status: "skipped", ancestorTitles: [""], meta: { skipped: "the cluster has no scheduler" } },
  ];
  const report = { testResults: [{ name: "a.test.ts", status: "passed", assertionResults }] };
  expect(countTests(report, 0)).toEqual({
    passed: 1,
    failed: 0,
    skipped: 4,
    remarks: ["2 skipped: no apt-get (or none that works) on the PATH", "1 skipped: the cluster has no scheduler"],
  });
});

test("a missing report is a failure", () => {
  expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0, remarks: ["vitest left no report"] });
});

test("the last line names what was skipped only when something was", () => {
  expect(summary({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
  expect(summary({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
});
