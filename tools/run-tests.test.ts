import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Runs the runner as `npm run test` does. */
function runTests(...words: string[]): { lines: string[]; exitCode: number | null } {
  // What this very vitest tells its workers is not for the one inside.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$)/.test(name)));
  const program = join(import.meta.dirname, "run-tests.ts");
  const { stdout, status } = spawnSync(process.execPath, [program, ...words], { encoding: "utf8", env });
  return { lines: stdout.trimEnd().split("\n"), exitCode: status };
}

test("the last line is the sum, alone, and the exit code is 0 when nothing failed", () => {
  const { lines, exitCode } = runTests("unit", "tools/check/file-length");
  expect(lines.at(-1)).toBe("3 passed, 0 failed");
  expect(lines.at(-2)).toBe("");
  expect(exitCode).toBe(0);
});

test("a part without tests has failed", () => {
  const { lines, exitCode } = runTests("unit", "no/such/file");
  expect(lines.at(-1)).toBe("0 passed, 1 failed");
  expect(lines).toContain("unit: no tests were found");
  expect(exitCode).toBe(1);
});
