import { describe, expect, test } from "vitest";
import { FakeKube } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import type { RequestOptions } from "../kube/transport.ts";
import { offerDraft, taskObject, taskUid } from "../objects.test-support.ts";
import { TaskReader } from "../observe/task.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { type Job, JobQueue, type Lane } from "./job-queue.ts";
import { OfferEffects } from "./offers.ts";
import { PodEffects } from "./pods.ts";
import { type StatusKind, StatusWriter } from "./statuses.ts";
import { deleteTask } from "./task-statuses.ts";
import { releasePod } from "./tracking.ts";

function queue(concurrency?: number, holdStatuses = false) {
  const clock = new FakeClock();
  const ran: string[] = [];
  const jobs = new JobQueue({
    clock,
    random: () => 0,
    telemetry: noTelemetry,
    log: noLogger,
    holdStatuses,
    ...(concurrency && { concurrency }),
  });
  const add = (lane: Lane, key: string) =>
    jobs.add({
      key,
      lane,
      type: "test",
      run: () => {
        ran.push(key);
        return Promise.resolve("done");
      },
    });
  const of = (lane: Lane) => ran.filter((key) => key.startsWith(lane)).length;
  return { clock, ran, jobs, add, of };
}

describe("what waits for a worker", () => {
  test("goes by its lane, whatever came first: launches, then ends of offers, then statuses", async () => {
    const { clock, ran, add } = queue(1);
    add("launch", "first");
    for (const lane of ["status", "close", "launch"] as const) for (const n of [1, 2]) add(lane, `${lane}-${n}`);
    await clock.advance(1_000);
    expect(ran).toEqual(["first", "launch-1", "launch-2", "close-1", "close-2", "status-1", "status-2"]);
  });

  test("is held back where it writes statuses until it is released, and goes on as ever then", async () => {
    const { clock, ran, jobs, add } = queue(2, true);
    for (const lane of ["status", "launch"] as const) for (const n of [1, 2]) add(lane, `${lane}-${n}`);
    await clock.advance(60_000);
    expect(ran).toEqual(["launch-1", "launch-2"]);
    jobs.releaseStatuses();
    add("status", "status-3");
    await clock.advance(1_000);
    expect(ran.slice(2)).toEqual(["status-1", "status-2", "status-3"]);
  });

  test("of one key goes in the order it came", async () => {
    const { clock, jobs } = queue();
    const ran: string[] = [];
    for (const name of ["create", "delete"]) {
      const run = (): Promise<"done"> => {
        ran.push(name);
        return Promise.resolve("done");
      };
      jobs.add({ key: "same", lane: "launch", type: name, run });
    }
    await clock.advance(0);
    expect([ran, jobs.size]).toEqual([["create", "delete"], 0]);
  });
});

describe("while pods are being launched", () => {
  /** Seconds of launches, one every 100 ms, before which so many statuses came. */
  async function busy(seconds: number, statuses: number) {
    const made = queue();
    for (let n = 0; n < statuses; n++) made.add("status", `status-${n}`);
    const counts: number[] = [];
    for (let n = 0; n < seconds * 10; n++) {
      made.add("launch", `launch-${n}`);
      await made.clock.advance(100);
      if (n % 10 === 9) counts.push(made.of("status"));
    }
    return { made, counts };
  }

  test("statuses trickle: twenty a second, and none waits for more than five seconds", async () => {
    const { counts } = await busy(4, 1_000);
    for (const [i, count] of counts.entries()) expect(count).toBeLessThanOrEqual(40 + 20 * (i + 1));
    const { made } = await busy(7, 1_000);
    expect(made.of("status")).toBe(1_000);
  });

  test("and no longer: then all of them go", async () => {
    const { made } = await busy(1, 500);
    expect(made.of("status")).toBeLessThan(100);
    await made.clock.advance(400);
    expect(made.of("status")).toBe(500);
  });
});

// Each kind of write, the lane that its job takes and the priority of its request: launches before everything else.
describe("the place of each write", () => {
  const attempt = { taskUid, index: 0, attempt: 0 };
  const blueprint = {
    namespace: "ns",
    taskUid,
    namePrefix: "t",
    labels: {},
    annotations: undefined,
    ownerReferences: [],
    spec: {},
    containers: [],
    initContainers: undefined,
    env: [],
  };

  async function placeOf(make: (made: ReturnType<typeof world>) => void): Promise<string[]> {
    const made = world();
    make(made);
    await made.clock.advance(2_000);
    return made.places;
  }

  function world() {
    const kube = new FakeKube();
    const clock = new FakeClock();
    const places: string[] = [];
    let lane: Lane = "launch";
    const request = kube.request.bind(kube);
    kube.request = (method, path, options: RequestOptions = {}) => {
      places.push(`${lane} ${method} ${options.priority ?? "normal"}`);
      return request(method, path, options);
    };
    const add = (job: Job): void => {
      lane = job.lane;
      void job.run().catch(() => {});
    };
    const context = { client: kube.client, clock, log: noLogger, fence: () => true, feed: () => {} };
    kube.put("tasks", taskObject());
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-1", finalizers: ["proffer.dev/tracking"] } });
    const task = new TaskReader().project(kube.get("tasks", "ns", "t"));
    const jobs = { add } as unknown as JobQueue;
    const pods = new PodEffects({ ...context, blueprintOf: () => blueprint, created: () => {} });
    const offers = new OfferEffects({ ...context, jobs, cached: () => undefined, mayPublish: () => true });
    const kind: StatusKind = {
      kind: "Task",
      resource: { group: "proffer.dev", version: "v1alpha1", plural: "tasks" },
      type: "task-changed",
      debounceMs: 0,
      minIntervalMs: 0,
      urgent: { debounceMs: 0, minIntervalMs: 0 },
      subject: () => task,
      plan: () => ({ status: { state: "Running" } }),
    };
    const statuses = new StatusWriter(context, jobs, kind);
    const cached = () => kube.get("pods", "ns", "p").metadata;
    return { kube, clock, places, add, context, pods, offers, statuses, cached };
  }

  test.each<{ name: string; make: (made: ReturnType<typeof world>) => void; place: string }>([
    {
      name: "the create of a pod",
      make: ({ add, pods }) =>
        add(pods.create({ type: "create-pod", attempt, node: "n", queue: "q", framework: "ns/fw" })),
      place: "launch POST high",
    },
    {
      name: "the kill of a pod",
      make: ({ add, pods }) => add(pods.delete({ type: "delete-pod", key: "ns/p", uid: "pod-1" })),
      place: "launch DELETE high",
    },
    {
      name: "the dry run of a template",
      make: ({ add, pods }) => add(pods.size({ type: "size-template", templateKey: "ns/h", taskUid })),
      place: "launch POST high",
    },
    { name: "an offer", make: ({ offers }) => offers.publish(offerDraft), place: "launch POST high" },
    {
      name: "the removal of a finalizer",
      make: ({ add, context, cached }) =>
        add(releasePod({ type: "release-pod", key: "ns/p", uid: "pod-1" }, context, cached)),
      place: "status PATCH low",
    },
    { name: "a status", make: ({ statuses }) => statuses.changed(taskUid), place: "status PUT low" },
    {
      name: "the deletion of a Task",
      make: ({ add, context }) => add(deleteTask({ type: "delete-task", key: "ns/t", uid: taskUid }, context)),
      place: "status DELETE low",
    },
  ])("$name: $place", async ({ make, place }) => {
    expect((await placeOf(make))[0]).toBe(place);
  });

  test("the end of an offer: between the two", async () => {
    const places = await placeOf(({ kube, offers }) => {
      kube.put("offers", { metadata: { name: "fw-7-0", namespace: "ns" }, spec: { term: "7" } });
      offers.close({ type: "close-offer", key: offerDraft.key, phase: "Expired", launches: [] });
    });
    expect(places).toEqual(["close GET normal", "close PUT normal"]);
  });
});
