import { describe, expect, test } from "vitest";
import type { FrameworkView } from "../../offers/views.ts";
import { FakeKube } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { frameworkObject, queueObject } from "../objects.test-support.ts";
import { projectFramework } from "../observe/framework.ts";
import { projectQueue } from "../observe/queue.ts";
import { ScriptedBroker } from "../scripted-broker.test-support.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { JobQueue } from "./job-queue.ts";
import { StatusWriter } from "./statuses.ts";
import { frameworkStatusKind, queueStatusKind } from "./tree-statuses.ts";

function setUp(type: "Builtin" | "Offers" = "Builtin") {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const state = { running: 0, heldBack: undefined as string | undefined };
  kube.put("frameworks", frameworkObject({ scheduler: { type }, answerers: ["alice"] }));
  kube.put("queues", queueObject("default"));
  const scripted = new ScriptedBroker();
  const options = {
    broker: {
      frameworkView: (key: string): FrameworkView => {
        const view = scripted.frameworkView(key)!;
        return { ...view, counts: { ...view.counts, running: state.running } };
      },
      queueView: (name: string) => ({
        ...scripted.queueView(name)!,
        counts: { pending: 0, running: state.running },
      }),
    },
    clock,
    framework: () => projectFramework(kube.get("frameworks", "ns", "fw")),
    queue: () => projectQueue(kube.get("queues", "", "default")),
    unpublished: () => state.heldBack,
  };
  const context = { client: kube.client, clock, log: noLogger, fence: () => true, feed: () => {} };
  const jobs = new JobQueue({ clock, random: () => 0, telemetry: noTelemetry, log: noLogger });
  const framework = new StatusWriter(context, jobs, frameworkStatusKind(options));
  const queue = new StatusWriter(context, jobs, queueStatusKind(options));
  return { kube, clock, state, framework, queue };
}

describe("the statuses of a Framework and of a Queue", () => {
  test.each([
    { kind: "framework", key: "ns/fw" },
    { kind: "queue", key: "default" },
  ] as const)("are written every two seconds at most, the last state in the end: $kind", async ({ kind, key }) => {
    const { kube, clock, state, ...writers } = setUp();
    for (let n = 1; n < 100; n++) {
      state.running = n;
      writers[kind].changed(key);
      await clock.advance(100);
    }
    await clock.advance(5_000);
    expect(kube.writes.length).toBeGreaterThan(3);
    expect(kube.writes.length).toBeLessThanOrEqual(7);
    expect(kube.writes.at(-1)!.body.status.counts.running).toBe(99);
  });

  test("of a Queue that others use than before is written at once, however soon after the last write", async () => {
    const { kube, clock, state, queue } = setUp();
    queue.changed("default");
    await clock.advance(1_000);
    state.running = 1;
    queue.changed("default", true);
    await clock.advance(200);
    expect(kube.writes).toHaveLength(2);
    // Many that come together are few writes.
    for (let n = 2; n < 12; n++) {
      state.running = n;
      queue.changed("default", true);
      await clock.advance(10);
    }
    await clock.advance(1_000);
    expect(kube.writes.length).toBeLessThanOrEqual(4);
    expect(kube.writes.at(-1)!.body.status.counts.running).toBe(11);
  });

  test("are not written again while they say the same", async () => {
    const { kube, clock, framework, queue } = setUp();
    for (let i = 0; i < 10; i++) {
      framework.changed("ns/fw");
      queue.changed("default");
      await clock.advance(5_000);
    }
    expect(kube.writes.map(({ path }) => path.split("/").at(-3))).toEqual(["frameworks", "queues"]);
  });

  test.each(["Offers", "Builtin"] as const)("say that offers are held back where there are any: %s", async (type) => {
    const { kube, clock, state, framework } = setUp(type);
    state.heldBack = "the policy is not in force";
    framework.changed("ns/fw");
    await clock.advance(5_000);
    const told = kube.writes[0]!.body.status.conditions.map((condition: { type: string }) => condition.type);
    expect(told.includes("OffersHeldBack")).toBe(type === "Offers");
  });
});
