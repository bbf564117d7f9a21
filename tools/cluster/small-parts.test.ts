import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isNewEnough } from "./helm-kubectl.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { kwokConfig } from "./kwok-stages.ts";
import { cpuSeconds, identify, isAlive, rssBytes } from "./process-info.ts";
import { duration, progressOn } from "./progress.ts";
import { waitFor } from "./wait.ts";

test.each([
  { said: "v4.2.3+g1234", atLeast: [3, 14] as const, enough: true },
  { said: "v3.14.0+g1234", atLeast: [3, 14] as const, enough: true },
  { said: "v3.9.1", atLeast: [3, 14] as const, enough: false },
  { said: "Client Version: v1.32.4\nKustomize Version: v5.5.0", atLeast: [1, 34] as const, enough: false },
  { said: "Client Version: v1.36.3\nKustomize Version: v5.5.0", atLeast: [1, 34] as const, enough: true },
  { said: "command not found", atLeast: [1, 34] as const, enough: false },
])("$said against $atLeast", ({ said, atLeast, enough }) => expect(isNewEnough(said, atLeast)).toBe(enough));

test("durations are for people", () => {
  expect([400, 59_400, 60_000, 185_000].map(duration)).toEqual(["0 s", "59 s", "1 min 00 s", "3 min 05 s"]);
});

test("in a log, progress is a line every 15 seconds and every result", () => {
  let text = "";
  let now = 0;
  const progress = progressOn({ write: (more: string) => (text += more) }, () => now);
  for (; now <= 31_000; now += 1_000) progress.update(`at ${now}`);
  progress.done("built");
  expect(text).toBe("at 0\nat 15000\nat 30000\nbuilt\n");
});

test("this process is alive, uses CPU and memory", () => {
  const me = identify(process.pid);
  expect(isAlive(me)).toBe(true);
  expect(isAlive({ ...me, startTicks: (me.startTicks ?? 0) + 1 })).toBe(false);
  expect(cpuSeconds(process.pid)).toBeGreaterThan(0);
  expect(rssBytes(process.pid)).toBeGreaterThan(1e6);
});

test("waiting ends with what was seen, or says what was not", async () => {
  let looks = 0;
  expect(await waitFor("the third look", () => (++looks === 3 ? "seen" : undefined), { everyMs: 1 })).toBe("seen");
  const never = waitFor(
    "godot",
    () => {
      throw new Error("not today");
    },
    { everyMs: 1, timeoutMs: 5 },
  );
  await expect(never).rejects.toMatchObject({ message: "waited 0.005 s for godot", cause: { message: "not today" } });
});

test("a kubeconfig file names one context and holds everything", () => {
  const path = join(tmpdir(), `kubeconfig-test-${process.pid}`);
  writeKubeconfig(path, "https://127.0.0.1:1", "CA", "mine", { certificate: { certPem: "C", keyPem: "K" } });
  const config = JSON.parse(readFileSync(path, "utf8"));
  rmSync(path);
  expect(config["current-context"]).toBe("mine");
  expect(config.clusters[0].cluster["certificate-authority-data"]).toBe("Q0E=");
  expect(config.users[0].user).toEqual({ "client-certificate-data": "Qw==", "client-key-data": "Sw==" });
});

describe("the Stages of fake kubelets", () => {
  const documents = kwokConfig()
    .split("\n---\n")
    .map((text) => JSON.parse(text));
  const stages = documents.filter(({ kind }) => kind === "Stage");

  test("leave finalizers alone: they are their owners'", () => {
    expect(stages.length).toBeGreaterThan(5);
    expect(kwokConfig()).not.toContain("finalizers");
  });

  test("write a status only over the one that they were chosen for: what has failed does not succeed later", () => {
    const patches = stages.flatMap(({ spec }) => spec.steps).flatMap(({ patch }) => patch ?? []);
    expect(patches.length).toBeGreaterThan(5);
    for (const { template } of patches) {
      expect(template).toMatch(
        /^metadata:\n {2}resourceVersion: \{\{ \.metadata\.resourceVersion \| Quote \}\}\nstatus:\n/,
      );
    }
  });
});
