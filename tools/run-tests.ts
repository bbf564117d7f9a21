/**
 * `npm run test`: check, unit tests, end-to-end tests, each even if one before it failed; the last line is the sum.
 * `npm run test -- unit src/offers`: some of them, and only the test files whose path holds one of the other words.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./check/command.ts";
import { runSteps } from "./check/step.ts";
import { STEPS } from "./check/steps.ts";
import { countTests, summary, type TestTally, type VitestReport } from "./check/vitest-report.ts";

const PARTS = ["check", "unit", "e2e"] as const;
type Part = (typeof PARTS)[number];

async function runPart(part: Part, filters: readonly string[]): Promise<TestTally> {
  console.log(`\n== ${part} ==`);
  if (part !== "check") return runVitest(part, filters);
  const tally = await runSteps(STEPS, 2);
  return { ...tally, skipped: 0, remarks: [] };
}

/** Runs one project of vitest.config.ts: for people on standard output as it goes, and counted from its report. */
async function runVitest(project: Part, filters: readonly string[]): Promise<TestTally> {
  const folder = mkdtempSync(join(tmpdir(), "proffer-tests-"));
  const reportFile = join(folder, "report.json");
  try {
    const exitCode = await runProgram(join(ROOT, "node_modules", "vitest", "vitest.mjs"), [
      "run",
      `--project=${project}`,
      // End-to-end tests are slow: each is reported as it ends. Unit tests by file.
      `--reporter=${project === "e2e" ? "verbose" : "default"}`,
      "--reporter=json",
      `--outputFile.json=${reportFile}`,
      ...filters,
    ]);
    return countTests(readReport(reportFile), exitCode);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as VitestReport;
  } catch {
    return undefined;
  }
}

/** Runs a Node.js program with our own streams; resolves with its exit code. */
function runProgram(script: string, arguments_: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...arguments_], { cwd: ROOT, stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

// An interrupt reaches vitest too, which ends its tests and their clusters: wait for it.
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (interrupted = true));

const words = process.argv.slice(2);
const isPart = (word: string): word is Part => (PARTS as readonly string[]).includes(word);
const chosen = words.filter(isPart);
const filters = words.filter((word) => !isPart(word));
const total = { passed: 0, failed: 0, skipped: 0 };
for (const part of PARTS.filter((one) => chosen.length === 0 || chosen.includes(one))) {
  if (interrupted) break;
  const { passed, failed, skipped, remarks } = await runPart(part, filters);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  for (const remark of remarks) console.log(`${part}: ${remark}`);
}
if (interrupted) console.log("interrupted");
process.exitCode = total.failed > 0 || total.passed === 0 || interrupted ? 1 : 0;
console.log(`\n${summary(total)}`);
