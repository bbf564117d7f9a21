import { describe, expect, test } from "vitest";
import { REASONS, type Reason, WAITING_REASONS } from "./reasons.ts";
import { show, type WaitingReason, WORLDS } from "./reasons.worlds.test-support.ts";

/** Nothing waits: there is nothing to show. */
const NOT_WAITING: ReadonlySet<Reason> = new Set(["no-demand", "placed"]);

describe("what people are told of a Task that waits", () => {
  test("is shown for every reason of the closed list: whoever adds one adds a world", () => {
    const waiting = Object.keys(WAITING_REASONS).filter((reason) => !NOT_WAITING.has(reason as Reason));
    expect(waiting.filter((reason) => !Object.hasOwn(WORLDS, reason))).toEqual([]);
  });

  test.each(Object.keys(WORLDS) as WaitingReason[])("%s: in its world it is the reason, in words", (reason) => {
    const { view, outlook, ...why } = show(reason)!;
    expect(why.reason).toBe(reason);
    expect(why.message).not.toBe("");
    expect(why.message.length).toBeLessThanOrEqual(1_000);
    expect(view.state).not.toBe("Finished");
    // An answer to "when?", if only that nobody can know.
    expect(outlook.when.estimateMs ?? outlook.when.unknown).toBeDefined();
    expect(show(reason)).toEqual({ ...why, view, outlook });
  });

  test.each<[WaitingReason, RegExp]>([
    ["no-node", /^2 nodes: 2 insufficient cpu \(needs 4, largest free 2.5\); 1 tasks of its shape stand before it$/],
    ["over-limit", /^queue research: 2 asked, 1 left of its limit 6 \(cpu\)$/],
    ["kept-back", /^3 cpu asked, 6 free, 4 of it kept back for queue gold$/],
    ["in-line", /^1 nodes fit; 1 stand before it in queue default$/],
    ["parallelism", /^2 instances run, parallelism is 2$/],
    ["back-off", /^the next attempt starts at \d\d:\d\d:\d\dZ$/],
    ["quota-exceeded", /^exceeded quota: .*; tried again at \d\d:\d\d:\d\dZ$/],
    ["group-invalid", /^group train has its tasks without this one, or they say another size than 2$/],
    ["gang-not-ready", /^group train: 1 of its 2 tasks exist$/],
    ["gang-too-large", /^gang of 5: 5 together, 2 fit .* empty; add nodes, or ask for less$/],
    ["gang-starting", /^gang of 3: 3 have their places, the rest follows$/],
    ["gang-too-wide", /^gang of 70: 70 together, an offer has 64 slices .*; make it fewer and larger ones, /],
    [
      "gathering",
      /^gang of 4: 3 of 4 fit now; holds room on 1 node since \d\d:\d\d:\d\dZ, passes on at \d\d:\d\d:\d\dZ$/,
    ],
    ["not-starting", /^on node-a: ErrImagePull/],
  ])("%s: with numbers that say %s", (reason, message) => {
    expect(show(reason)?.message).toMatch(message);
  });

  test("a reason has one meaning and one thing to do, whatever it is given for", () => {
    for (const [meaning, whatToDo] of Object.values(REASONS)) expect([meaning, whatToDo]).not.toContain("");
  });
});
