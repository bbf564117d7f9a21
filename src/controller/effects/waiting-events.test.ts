import { expect, test } from "vitest";
import { REASONS } from "../../offers/explain/reasons.ts";
import type { Explanation } from "../../offers/views.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { conditionReason } from "../manifests/conditions.ts";
import { happeningOf } from "../manifests/event.ts";
import type { EventEffect } from "../term.ts";
import { WaitingEvents } from "./waiting-events.ts";

const why: Explanation = { reason: "no-node", message: "4 nodes: 4 insufficient cpu (needs 4, largest free 2.5)" };
const task = (n: number) => ({ key: `ns/t${n}`, uid: `u${n}` });

test("a Task that waits is an event of it, with the reason and the words of its condition", () => {
  const told: EventEffect[] = [];
  new WaitingEvents({ clock: new FakeClock(), tell: (event) => told.push(event) }).waits(task(1), why);
  expect(told.map(happeningOf)).toEqual([
    {
      regarding: { apiVersion: "proffer.dev/v1alpha1", kind: "Task", namespace: "ns", name: "t1", uid: "u1" },
      type: "Normal",
      reason: conditionReason(why.reason),
      action: "Scheduling",
      note: why.message,
    },
  ]);
  expect(Object.keys(REASONS)).toContain(told[0]?.reason);
});

test("of thousands that come to wait together some are told, and more as time goes by", async () => {
  const told: EventEffect[] = [];
  const clock = new FakeClock();
  const events = new WaitingEvents({ clock, tell: (event) => told.push(event) });
  for (let n = 0; n < 5_000; n++) events.waits(task(n), why);
  expect(told).toHaveLength(10);
  await clock.advance(3_000);
  for (let n = 0; n < 5_000; n++) events.waits(task(n), why);
  expect(told).toHaveLength(13);
});

test("a Task that has gone meanwhile is not told of", () => {
  const told: EventEffect[] = [];
  new WaitingEvents({ clock: new FakeClock(), tell: (event) => told.push(event) }).waits(undefined, why);
  expect(told).toEqual([]);
});
