import { describe, expect, test } from "vitest";
import { explainFromStatus } from "./cli/explain/from-status.ts";
import { taskStatusKind } from "./controller/effects/task-statuses.ts";
import { WaitingEvents } from "./controller/effects/waiting-events.ts";
import { FakeKube } from "./controller/fake-kube.test-support.ts";
import { FakeClock } from "./controller/kube/clock.test-support.ts";
import { conditionReason } from "./controller/manifests/conditions.ts";
import { happeningOf } from "./controller/manifests/event.ts";
import { taskObject } from "./controller/objects.test-support.ts";
import { type ObservedTask, TaskReader } from "./controller/observe/task.ts";
import { noLogger } from "./controller/telemetry.ts";
import type { EventEffect } from "./controller/term.ts";
import { show, type WaitingReason, WORLDS } from "./offers/explain/reasons.worlds.test-support.ts";
import type { TaskView } from "./offers/views.ts";
import { explain } from "./server/explain.ts";

// Whichever way somebody asks why a Task waits, the words are the same.

const clock = new FakeClock();
const task: ObservedTask = new TaskReader().project(taskObject());

/** The status that the operator writes of such a Task. */
function statusOf(view: TaskView, why: ReturnType<typeof show>): Record<string, unknown> {
  const context = { client: new FakeKube().client, clock, log: noLogger, fence: () => true, feed: () => {} };
  const kind = taskStatusKind({ ...context, broker: { taskView: () => view }, task: () => task, waiting: () => why });
  const began = { type: "Accepted", status: "True", reason: "Accepted", message: "", lastTransitionTime: "" } as const;
  const plan = kind.plan("t-uid", task, { digest: undefined, conditions: [began] });
  if (typeof plan === "string" || !("status" in plan)) throw new Error("nothing is written");
  return plan.status as Record<string, unknown>;
}

describe("why a Task waits", () => {
  test.each(Object.keys(WORLDS) as WaitingReason[])("%s: one text in every channel", (reason) => {
    const shown = show(reason)!;
    const { view, message, outlook } = shown;
    const status = statusOf(view, shown);
    expect(status.why).toBe(message);
    expect(status.conditions).toContainEqual(expect.objectContaining({ reason: conditionReason(reason), message }));

    const told: EventEffect[] = [];
    new WaitingEvents({ clock, tell: (event) => told.push(event) }).waits(task, shown);
    expect(told.map(happeningOf)).toMatchObject([{ reason: conditionReason(reason), note: message }]);

    const source = {
      taskUid: () => "t-uid",
      taskView: () => view,
      explainTask: () => shown,
      outlookOfTask: () => outlook,
      frameworkView: () => undefined,
      queueView: () => undefined,
    };
    const answer = explain(source, "task", { namespace: "ns", name: "t" }, 0)!;
    expect(answer.json).toMatchObject({ why: { reason, message } });
    const lines = (text: string) => text.split("\n").map((line) => line.replace(/ +/g, " "));
    const line = ` Why: ${reason}: ${message}`;
    expect(lines(answer.text)).toContain(line);
    const fromStatus = explainFromStatus({ kind: "Task", metadata: { name: "t" }, spec: { instances: 1 }, status });
    expect(lines(fromStatus.text)).toContain(line);
    expect(fromStatus.json).toMatchObject({ why: { reason, message } });
  });
});
