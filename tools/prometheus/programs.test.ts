import { afterEach, expect, test, vi } from "vitest";
import { ProgramFailed } from "../image/run-program.ts";
import { findPrometheus, isNewEnough, versionIn } from "./programs.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  { said: "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 1)", version: "2.42.0+ds", enough: true },
  { said: "promtool, version 2.41.3 (branch: HEAD)", version: "2.41.3", enough: false },
  { said: "prometheus, version 3.5.0 (branch: HEAD)", version: "3.5.0", enough: true },
  { said: "prometheus, version 1.99.0 (branch: master)", version: "1.99.0", enough: false },
])("of $said the version is $version", ({ said, version, enough }) => {
  expect(versionIn(said)).toBe(version);
  expect(isNewEnough(version)).toBe(enough);
});

test("what tells no version has none", () => {
  expect([versionIn("command not found"), versionIn(undefined)]).toEqual([undefined, undefined]);
});

test.each([
  { error: new ProgramFailed("no apt-get on the PATH. …", true), reason: "no apt on this machine" },
  { error: new Error("the pinned version cannot be had"), reason: "the pinned version cannot be had" },
])("where it is neither installed nor to be had, one sentence says so: $reason", async ({ error, reason }) => {
  vi.stubEnv("PATH", "");
  expect(await findPrometheus(() => Promise.reject(error))).toEqual({
    missing: `no prometheus and promtool 2.42 or newer on the PATH, and none from Debian: ${reason}`,
  });
});
