import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
}
interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, { readonly "timeout-minutes": number; readonly steps: readonly Step[] }>>;
}

const ROOT = join(import.meta.dirname, "..");
const FOLDER = join(ROOT, ".github", "workflows");
const read = (...path: string[]) => readFileSync(join(ROOT, ...path), "utf8");
const targets = new Set([...read("Makefile").matchAll(/^([a-z0-9-]+):.*## /gm)].map(([, name]) => name));
const scripts = new Set(Object.keys(JSON.parse(read("package.json")).scripts));

describe.each(readdirSync(FOLDER))("workflow %s", (file) => {
  const text = readFileSync(join(FOLDER, file), "utf8");
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  const workflow = document.toJS() as Workflow;
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
  const commands = steps.flatMap(({ run }) => run ?? []);

  test("is YAML without doubts", () => {
    expect([...document.errors, ...document.warnings]).toEqual([]);
  });

  test("runs targets of the Makefile and scripts of package.json that exist", () => {
    const made = commands.flatMap((run) => [...run.matchAll(/\bmake ([a-z0-9-]+)/g)].map(([, name]) => name));
    const npm = commands.flatMap((run) =>
      [...run.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name),
    );
    expect(made.length).toBeGreaterThan(0);
    expect(made.filter((name) => !targets.has(name))).toEqual([]);
    expect(npm.filter((name) => !scripts.has(name!))).toEqual([]);
  });

  test("names files that exist, and a cluster that there is", () => {
    const kinds = /case "(\w+)":/g;
    const clusters = [...read("tools/cluster/open-cluster.ts").matchAll(kinds)].map(([, name]) => name);
    for (const { env = {}, with: inputs = {} } of steps) {
      if (env.CLUSTER !== undefined) expect(clusters).toContain(env.CLUSTER);
      const path = inputs["go-version-file"];
      if (path !== undefined) expect(read(path)).toMatch(/^go 1\.\d+/m);
    }
  });

  test("pins each action to a version, may only read, and ends by itself", () => {
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
    expect(workflow.permissions).toEqual({ contents: "read" });
    for (const job of Object.values(workflow.jobs)) expect(job["timeout-minutes"]).toBeLessThanOrEqual(90);
    expect(text.slice(0, text.indexOf("\nname:"))).toContain("never run");
  });
});

test("check, all tests and the suite on kind are run for those who clone this", () => {
  const ci = parseDocument(readFileSync(join(FOLDER, "ci.yaml"), "utf8")).toJS() as Workflow;
  const runs = Object.entries(ci.jobs).map(([job, { steps }]) => {
    const { run, env } = steps.at(-1)!;
    return [job, env?.CLUSTER, run];
  });
  expect(runs).toEqual([
    ["check", undefined, "make check"],
    ["test", undefined, "make test"],
    ["kind", "kind", "make e2e"],
  ]);
});
