import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

function experiments(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("help tells every option, and where the tables come from", () => {
  const { status, stdout } = experiments("--help");
  expect(status).toBe(0);
  for (const text of ["--traces", "--seeds", "--only", "--dry-run", "docs/experiments.md"])
    expect(stdout).toContain(text);
});

test.each([
  {
    name: "a folder that is not there",
    args: ["--traces", "/nowhere"],
    says: "experiments: there is no folder /nowhere",
  },
  {
    name: "a configuration that is not there",
    args: ["--only", "borg"],
    says: "no configuration is called borg; there are: static-partitioning, hadoop-1,",
  },
  { name: "no number of runs", args: ["--seeds", "0"], says: "must be a whole number from 1 to 999" },
])("$name is one sentence and exit code 1", ({ args, says }) => {
  const { status, stdout, stderr } = experiments(...args);
  expect(status).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toContain(says);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});
