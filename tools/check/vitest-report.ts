import type { Tally } from "./step.ts";

/** The part of vitest's JSON report that counting needs. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly ReportedTest[];
  }[];
}

interface ReportedTest {
  readonly status: string;
  readonly ancestorTitles: readonly string[];
  /** Why it is skipped, where that is known only once it is about to run. */
  readonly meta?: { readonly skipped?: string };
}

export interface TestTally extends Tally {
  readonly skipped: number;
  /** For people: what went wrong apart from tests that failed, and why tests were skipped, where they or their titles say so. */
  readonly remarks: readonly string[];
}

/** How the title of a `describe` tells why its tests are skipped. */
const SKIPPED = /\(skipped: (.*)\)$/;

/**
 * Counts tests by what became of them. Whatever is wrong without a failed test counts as one failure: a file that could not be
 * loaded, no report, no test at all, an exit code other than 0 for a reason that is not in the report (an error outside tests).
 */
export function countTests(report: VitestReport | undefined, exitCode: number): TestTally {
  if (report === undefined) return broken("vitest left no report");
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const remarks: string[] = [];
  const reasons = new Map<string, number>();
  for (const { name, status, assertionResults } of report.testResults) {
    const count = (wanted: string) => assertionResults.filter((test) => test.status === wanted).length;
    const failedHere = count("failed");
    passed += count("passed");
    skipped += assertionResults.length - count("passed") - failedHere;
    failed += failedHere;
    for (const { status, ancestorTitles, meta } of assertionResults) {
      const reason = meta?.skipped ?? ancestorTitles.flatMap((title) => SKIPPED.exec(title)?.[1] ?? [])[0];
      if (reason !== undefined && status !== "passed" && status !== "failed")
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    if (status === "failed" && failedHere === 0) {
      failed++;
      remarks.push(`${name} failed outside its tests`);
    }
  }
  if (passed + failed + skipped === 0) return broken("no tests were found");
  if (exitCode !== 0 && failed === 0) {
    failed++;
    remarks.push(`vitest ended with exit code ${exitCode} though no test failed`);
  }
  for (const [reason, count] of reasons) remarks.push(`${count} skipped: ${reason}`);
  return { passed, failed, skipped, remarks };
}

const broken = (remark: string): TestTally => ({ passed: 0, failed: 1, skipped: 0, remarks: [remark] });

/** The last line of a test run: `12 passed, 0 failed` and, where there are any, `, 3 skipped`. */
export function summary({ passed, failed, skipped }: Omit<TestTally, "remarks">): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
