import { describe, expect, test } from "vitest";
import type { Input } from "../../offers/messages.ts";
import { type Explanation, NO_INSTANCES, type TaskView } from "../../offers/views.ts";
import { FakeKube, status } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { taskObject, taskUid } from "../objects.test-support.ts";
import { type ObservedTask, TaskReader } from "../observe/task.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { Explanations } from "./explanations.ts";
import { JobQueue } from "./job-queue.ts";
import { StatusWriter } from "./statuses.ts";
import { taskStatusKind } from "./task-statuses.ts";

const view = (over: Partial<TaskView> = {}): TaskView => ({
  version: 1,
  state: "Running",
  instances: 1,
  counts: { ...NO_INSTANCES, running: 1 },
  succeededIndexes: "",
  failedIndexes: "",
  attempts: [],
  lastFailures: [],
  ...over,
});
const pending = view({ state: "Pending", counts: { ...NO_INSTANCES, pending: 1 } });
const finished = view({
  version: 9,
  state: "Finished",
  counts: { ...NO_INSTANCES, finished: 1 },
  succeededIndexes: "0",
});

function setUp() {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const inputs: Input[] = [];
  const reader = new TaskReader();
  const state = {
    leads: true,
    view: view() as TaskView | undefined,
    why: undefined as Explanation | undefined,
    waiting: undefined as Explanation | undefined,
    shape: 1,
  };
  kube.put("tasks", taskObject());
  const cached = { task: reader.project(kube.get("tasks", "ns", "t")) as ObservedTask | undefined };
  const context = {
    client: kube.client,
    clock,
    log: noLogger,
    fence: () => state.leads,
    feed: (i: Input) => inputs.push(i),
  };
  const broker = { taskView: () => state.view, explainTask: () => state.why };
  const jobs = new JobQueue({ clock, random: () => 0, telemetry: noTelemetry, log: noLogger });
  const kind = taskStatusKind({ ...context, broker, task: () => cached.task, waiting: () => state.waiting });
  const writer = new StatusWriter(context, jobs, kind);
  const explanations = new Explanations({
    // A whole view at each event would cost as much as the Task has instances.
    broker: {
      pendingOf: () => state.view?.counts.pending ?? 0,
      explainTask: () => state.why,
      shapeOf: () => state.shape,
    },
    clock,
    changed: (uid) => {
      state.waiting = explanations.of(uid);
      writer.changed(uid, true);
    },
  });
  /** What a reflector would do by now. */
  const observe = () => {
    cached.task = reader.project(kube.get("tasks", "ns", "t"));
    writer.observed(taskUid, cached.task);
  };
  const written = () => kube.writes.filter(({ path }) => path.endsWith("/status"));
  const standing = () => kube.get("tasks", "ns", "t")?.status;
  return { kube, clock, inputs, state, writer, explanations, observe, written, standing, cached };
}

describe("the status of a Task", () => {
  test("is written a second after the first change, with all that came in between, and told as recorded", async () => {
    const { clock, inputs, state, writer, written, standing } = setUp();
    state.view = view({ state: "Starting" });
    writer.changed(taskUid);
    await clock.advance(900);
    state.view = view({ version: 4 });
    writer.changed(taskUid);
    expect(written()).toEqual([]);
    await clock.advance(100);
    expect(written()).toHaveLength(1);
    expect(standing()).toMatchObject({ state: "Running", counts: { running: 1 } });
    expect(inputs).toEqual([{ type: "task-recorded", uid: taskUid, version: 4 }]);
  });

  test("of a task that runs and ends costs two writes, of one that ends quickly a single one", async () => {
    const slow = setUp();
    slow.writer.changed(taskUid);
    await slow.clock.advance(5_000);
    slow.state.view = finished;
    slow.writer.changed(taskUid, true);
    await slow.clock.advance(60_000);
    expect(slow.written()).toHaveLength(2);
    const quick = setUp();
    quick.writer.changed(taskUid);
    await quick.clock.advance(500);
    quick.state.view = finished;
    quick.writer.changed(taskUid, true);
    await quick.clock.advance(60_000);
    expect(quick.written()).toHaveLength(1);
    expect(quick.standing().state).toBe("Finished");
  });

  test("is written at most once a second, the last state in the end", async () => {
    const { clock, state, writer, written, standing } = setUp();
    for (let i = 0; i < 100; i++) {
      state.view = view({ version: i, counts: { ...NO_INSTANCES, running: i } });
      writer.changed(taskUid, i % 2 === 0);
      await clock.advance(100);
    }
    await clock.advance(2_000);
    expect(written().length).toBeLessThanOrEqual(12);
    expect(standing().counts.running).toBe(99);
  });

  test("that says what stands is not written, but told as recorded (guards: quiescence)", async () => {
    const { clock, inputs, writer, observe, written } = setUp();
    writer.changed(taskUid);
    await clock.advance(2_000);
    observe();
    writer.changed(taskUid);
    writer.changed(taskUid, true);
    await clock.advance(60_000);
    expect(written()).toHaveLength(1);
    expect(inputs).toHaveLength(2);
  });

  test("written by an earlier leader is not written again by the next", async () => {
    const first = setUp();
    first.writer.changed(taskUid);
    await first.clock.advance(2_000);
    const second = setUp();
    second.kube.put("tasks", { ...second.kube.get("tasks", "ns", "t"), status: first.standing() });
    second.observe();
    second.writer.changed(taskUid);
    await second.clock.advance(60_000);
    expect(second.written()).toEqual([]);
    expect(second.inputs).toMatchObject([{ type: "task-recorded" }]);
  });

  test("of a task that only waits is not written: the default says the same", async () => {
    const { clock, state, writer, written } = setUp();
    state.view = pending;
    writer.changed(taskUid, true);
    await clock.advance(60_000);
    expect(written()).toEqual([]);
  });

  test("of a task that is being started waits a little for it to run", async () => {
    const { clock, state, writer, written, standing } = setUp();
    state.view = view({ state: "Starting", counts: { ...NO_INSTANCES, starting: 1 } });
    writer.changed(taskUid);
    await clock.advance(4_000);
    expect(written()).toEqual([]);
    await clock.advance(3_000);
    expect(standing().state).toBe("Starting");
  });

  test.each([
    { name: "is tried again", over: { state: "Staging", attempts: [{ indexes: "0", ended: 1, failed: 1 }] } },
    { name: "waits to be tried again", over: { state: "Pending", attempts: [{ indexes: "0", ended: 1, failed: 1 }] } },
    { name: "runs on with others", over: { state: "Starting", succeededIndexes: "0" } },
    { name: "waits with others", over: { state: "Pending", failedIndexes: "0" } },
  ] as const)("of which an attempt has ended that $name is written: its pod may not go before", async ({ over }) => {
    const { clock, inputs, state, writer, written } = setUp();
    state.view = view({ counts: NO_INSTANCES, ...over });
    writer.changed(taskUid);
    await clock.advance(1_000);
    expect(written()).toHaveLength(1);
    expect(inputs).toMatchObject([{ type: "task-recorded" }]);
  });

  test("is not recorded before the API server has it (guards: release only what is on record)", async () => {
    const { kube, clock, inputs, state, writer } = setUp();
    state.view = finished;
    kube.fault = () => ({ error: status(503, "ServiceUnavailable") });
    writer.changed(taskUid, true);
    await clock.advance(30_000);
    expect(inputs).toEqual([]);
    kube.fault = () => undefined;
    await clock.advance(60_000);
    expect(inputs).toEqual([{ type: "task-recorded", uid: taskUid, version: 9 }]);
  });

  test("whose write is lost is written until it stands, once", async () => {
    const { kube, clock, inputs, state, writer, standing } = setUp();
    state.view = finished;
    kube.loseFirstAnswer("PUT");
    writer.changed(taskUid, true);
    await clock.advance(30_000);
    expect(standing().state).toBe("Finished");
    expect(inputs).toMatchObject([{ type: "task-recorded", version: 9 }]);
  });

  test("based on an old version is made again from what is (guards: the resourceVersion)", async () => {
    const { kube, clock, inputs, writer, standing } = setUp();
    const changed = kube.get("tasks", "ns", "t");
    kube.put("tasks", { ...changed, metadata: { ...changed.metadata, labels: { a: "b" } } });
    writer.changed(taskUid, true);
    await clock.advance(5_000);
    expect(standing().state).toBe("Running");
    expect(inputs).toHaveLength(1);
    expect(kube.get("tasks", "ns", "t").metadata.labels).toEqual({ a: "b" });
  });

  test("that somebody forged is written again (T9)", async () => {
    const { kube, clock, writer, observe, standing } = setUp();
    writer.changed(taskUid);
    await clock.advance(2_000);
    observe();
    kube.put("tasks", { ...kube.get("tasks", "ns", "t"), status: { state: "Finished", succeededIndexes: "0" } });
    observe();
    await clock.advance(5_000);
    expect(standing().state).toBe("Running");
  });

  test("of a Task that was deleted and made again is not that of the old one (guards: the UID)", async () => {
    const { kube, clock, inputs, writer, standing } = setUp();
    kube.put("tasks", taskObject({ metadata: { uid: "another" } }));
    writer.changed(taskUid, true);
    await clock.advance(30_000);
    expect(standing()).toBeUndefined();
    expect(inputs).toEqual([]);
  });

  test("is not written once the lease is lost", async () => {
    const { kube, clock, inputs, state, writer } = setUp();
    state.leads = false;
    writer.changed(taskUid, true);
    await clock.advance(30_000);
    expect([kube.requests, inputs]).toEqual([[], []]);
  });
});

describe("why a Task waits", () => {
  const noNode: Explanation = { reason: "no-node", message: "4 nodes: 4 insufficient cpu" };

  test("stands in its status after five seconds, and is not written again while the reason stays", async () => {
    const { clock, state, explanations, written, standing } = setUp();
    state.view = pending;
    state.why = noNode;
    explanations.look(taskUid);
    await clock.advance(4_900);
    expect(written()).toEqual([]);
    await clock.advance(1_000);
    expect(standing()).toMatchObject({ why: noNode.message, conditions: [{}, { type: "Waiting", reason: "NoNode" }] });
    for (let i = 0; i < 10; i++) {
      state.why = { ...noNode, message: `${i} nodes` };
      await clock.advance(31_000);
    }
    expect(written()).toHaveLength(1);
  });

  test("is written again where it is one for other instances: their shape has changed", async () => {
    const { clock, state, explanations, written, standing } = setUp();
    state.view = pending;
    state.why = noNode;
    explanations.look(taskUid);
    await clock.advance(6_000);
    state.why = { ...noNode, message: "4 nodes: 4 insufficient memory" };
    state.shape = 2;
    await clock.advance(31_000);
    expect(written()).toHaveLength(2);
    expect(standing()).toMatchObject({ why: "4 nodes: 4 insufficient memory" });
  });

  test("is written when the reason changes, at most every thirty seconds", async () => {
    const { clock, state, explanations, written, standing } = setUp();
    state.view = pending;
    state.why = noNode;
    explanations.look(taskUid);
    await clock.advance(6_000);
    state.why = { reason: "over-limit", message: "the limit of q" };
    explanations.look(taskUid);
    await clock.advance(20_000);
    expect(written()).toHaveLength(1);
    await clock.advance(15_000);
    expect(standing().conditions).toContainEqual(expect.objectContaining({ type: "Waiting", reason: "OverLimit" }));
  });

  test("goes from the status when it runs, and stays through a change of leader while it waits", async () => {
    const { clock, state, writer, observe, explanations, standing } = setUp();
    state.view = pending;
    state.why = noNode;
    explanations.look(taskUid);
    await clock.advance(6_000);
    observe();
    explanations.gone(taskUid);
    state.waiting = undefined;
    writer.changed(taskUid, true);
    await clock.advance(3_000);
    expect(standing().conditions).toContainEqual(expect.objectContaining({ type: "Waiting" }));
    state.view = view();
    writer.changed(taskUid, true);
    await clock.advance(3_000);
    expect(standing().conditions).not.toContainEqual(expect.objectContaining({ type: "Waiting" }));
  });

  test("is above all that a node cannot start it, until that is over", async () => {
    const { clock, state, writer, observe, standing } = setUp();
    const stuck: Explanation = { reason: "not-starting", message: "instance 0 on n: ErrImagePull" };
    state.view = view({ state: "Starting", counts: { ...NO_INSTANCES, starting: 1, pending: 1 }, stuck });
    state.waiting = noNode;
    writer.changed(taskUid);
    await clock.advance(7_000);
    expect(standing()).toMatchObject({
      state: "Starting",
      why: stuck.message,
      conditions: [{}, { type: "Waiting", reason: "NotStarting" }],
    });
    observe();
    state.waiting = undefined;
    state.view = view({ counts: { ...NO_INSTANCES, running: 1, pending: 1 } });
    writer.changed(taskUid);
    await clock.advance(3_000);
    expect(standing().why).toBeUndefined();
  });

  test("is asked for twenty times a second at most, however many tasks wait", async () => {
    const clock = new FakeClock();
    const explained: string[] = [];
    const explanations = new Explanations({
      broker: { pendingOf: () => 1, explainTask: () => noNode, shapeOf: () => 1 },
      clock,
      changed: (uid) => explained.push(uid),
    });
    for (let i = 0; i < 10_000; i++) explanations.look(`uid-${i}`);
    await clock.advance(10_000);
    expect(explained.length).toBeGreaterThan(80);
    expect(explained.length).toBeLessThanOrEqual(101);
    expect(new Set(explained).size).toBe(explained.length);
    explanations.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test("comes five seconds after a task begins to wait, also while others wait to be looked at again", async () => {
    const clock = new FakeClock();
    const explained: string[] = [];
    const explanations = new Explanations({
      broker: { pendingOf: () => 1, explainTask: () => noNode, shapeOf: () => 1 },
      clock,
      changed: (uid) => explained.push(`${uid} ${clock.monotonicMs()}`),
    });
    explanations.look("first");
    await clock.advance(6_000);
    explanations.look("second");
    await clock.advance(29_000);
    expect(explained).toEqual(["first 5000", "second 11000"]);
    expect(clock.pendingTimers).toBe(1);
    explanations.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  test("costs nothing for tasks that start within seconds, and no timer when none waits", async () => {
    const clock = new FakeClock();
    const state = { pending: 1 };
    let asked = 0;
    const explanations = new Explanations({
      broker: {
        pendingOf: () => state.pending,
        explainTask: () => {
          asked++;
          return noNode;
        },
        shapeOf: () => 1,
      },
      clock,
      changed: () => {},
    });
    for (let i = 0; i < 100; i++) explanations.look(`uid-${i}`);
    await clock.advance(2_000);
    state.pending = 0;
    await clock.advance(60_000);
    expect(asked).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
