import { describe, expect, test } from "vitest";
import type { ObservedProgram } from "../observe/program.ts";
import { beforeNext, decideProgram, nextStartMs } from "./decide.ts";

const WISH = { hash: "h" };
const MINUTE_MS = 60_000;
const NOW_MS = 1_000 * MINUTE_MS;

/** A pod that began long ago and, where it is over, ended now. */
function pod(change: Partial<ObservedProgram> = {}): ObservedProgram {
  return {
    key: "ns/f-controller",
    uid: "p",
    framework: "ns/f",
    frameworkUid: "f-1",
    createdAtMs: NOW_MS - MINUTE_MS,
    deleting: false,
    phase: "Running",
    hash: "h",
    restarts: 3,
    failures: 0,
    startedAtMs: NOW_MS - MINUTE_MS,
    ...change,
  };
}

const failed = (change: Partial<ObservedProgram> = {}) => pod({ phase: "Failed", finishedAtMs: NOW_MS, ...change });
const remove = { type: "delete", uid: "p" };
const nothing = { type: "none" };

describe("what is to be done about a framework's program", () => {
  test.each([
    { name: "none is wanted and none is there", wish: undefined, pod: undefined, action: nothing },
    { name: "there is none", wish: WISH, pod: undefined, action: { type: "create", restarts: 0, failures: 0 } },
    { name: "it runs", wish: WISH, pod: pod(), action: nothing },
    { name: "it cannot be placed", wish: WISH, pod: pod({ phase: "Pending" }), action: nothing },
    { name: "it has done its work", wish: WISH, pod: pod({ phase: "Succeeded" }), action: nothing },
    { name: "none is wanted any more", wish: undefined, pod: pod(), action: remove },
    { name: "another one is wanted", wish: { hash: "other" }, pod: pod(), action: remove },
    { name: "another one is wanted than that which ended", wish: { hash: "other" }, pod: failed(), action: remove },
    { name: "it is on its way out", wish: { hash: "other" }, pod: pod({ deleting: true }), action: nothing },
    { name: "it is on its way out unwanted", wish: undefined, pod: pod({ deleting: true }), action: nothing },
    { name: "it failed just now", wish: WISH, pod: failed(), action: { type: "again", atMs: NOW_MS + 10_000 } },
    { name: "it failed 10 s ago", wish: WISH, pod: failed({ finishedAtMs: NOW_MS - 10_000 }), action: remove },
  ])("$name: $action.type", ({ wish, pod: there, action }) => {
    expect(decideProgram(wish, there, undefined, NOW_MS)).toEqual(action);
  });

  test("the next one knows how many were before it", () => {
    const before = beforeNext(failed({ failures: 2 }), WISH);
    expect(decideProgram(WISH, undefined, before, NOW_MS)).toEqual({ type: "create", restarts: 4, failures: 3 });
  });
});

describe("the wait before the next start", () => {
  test("doubles with each failure in a row, from 10 s to five minutes", () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 1_000].map((failures) => nextStartMs(failed({ failures })) - NOW_MS);
    expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  });

  test.each([
    { minutes: 10, waitMs: 10_000, failures: 1 },
    { minutes: 9.99, waitMs: 160_000, failures: 5 },
  ])("after $minutes good minutes is $waitMs ms", ({ minutes, waitMs, failures }) => {
    const ended = failed({ failures: 4, startedAtMs: NOW_MS - minutes * MINUTE_MS });
    expect(nextStartMs(ended) - NOW_MS).toBe(waitMs);
    expect(beforeNext(ended, WISH).failures).toBe(failures);
  });

  test("counts from its creation where no container ever ran", () => {
    const { startedAtMs: _, finishedAtMs: __, ...never } = failed();
    expect(nextStartMs(never)).toBe(NOW_MS - MINUTE_MS + 10_000);
  });

  test("is none for one that somebody deleted, and for another program", () => {
    expect(beforeNext(pod({ failures: 2 }), WISH)).toEqual({ restarts: 4, failures: 2 });
    expect(beforeNext(failed({ failures: 2 }), { hash: "other" })).toEqual({ restarts: 0, failures: 0 });
  });
});
