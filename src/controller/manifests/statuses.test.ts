import { describe, expect, test } from "vitest";
import { frameworkDefinition } from "../../api/framework.ts";
import { offerDefinition } from "../../api/offer.ts";
import { queueDefinition } from "../../api/queue.ts";
import { taskDefinition } from "../../api/task.ts";
import { REASONS, type Reason } from "../../offers/explain/reasons.ts";
import { type FrameworkView, NO_INSTANCES, type QueueView, type TaskView } from "../../offers/views.ts";
import { projectOffer } from "../observe/offer.ts";
import { conditionReason, conditionsFrom, reasonOfCondition } from "./conditions.ts";
import { frameworkStatus, queueStatus } from "./framework-status.ts";
import { clipRanges, offerBody, offerStatus } from "./offer.ts";
import { taskStatus } from "./task-status.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const taskView = (over: Partial<TaskView> = {}): TaskView => ({
  version: 1,
  state: "Pending",
  instances: 10,
  counts: { ...NO_INSTANCES, pending: 10 },
  succeededIndexes: "",
  failedIndexes: "",
  attempts: [],
  lastFailures: [],
  ...over,
});
const statusOf = (over: Partial<TaskView> = {}, more: object = {}) =>
  taskStatus({
    name: "t",
    uid: "u",
    generation: 2,
    view: taskView(over),
    waiting: undefined,
    standing: [],
    nowMs,
    ...more,
  });

/** What the custom resource definition lets pass. */
const isValid = (definition: { members: Record<string, { parse(value: unknown): unknown }> }, status: object) =>
  definition.members.status?.parse(status);

describe("the status of a Task", () => {
  test("says what the broker knows", () => {
    const status = statusOf({
      state: "Running",
      counts: { ...NO_INSTANCES, running: 7, finished: 3 },
      succeededIndexes: "0-2",
      node: "n1",
      startedAtMs: nowMs,
      lastFailures: [
        { index: 4, attempt: 1, node: "n2", reason: "exit-code", message: "boom", exitCode: 3, atMs: nowMs },
      ],
      attempts: [{ indexes: "4", ended: 2, failed: 1 }],
    });
    expect(status).toMatchObject({
      observedGeneration: 2,
      state: "Running",
      progress: "3/10",
      counts: { running: 7, finished: 3 },
      succeededIndexes: "0-2",
      attempts: [{ indexes: "4", ended: 2, failed: 1 }],
      node: "n1",
      startedAt: "2026-01-01T12:00:00Z",
      lastFailures: [
        { index: 4, attempt: 1, node: "n2", reason: "exit-code", exitCode: 3, at: "2026-01-01T12:00:00Z" },
      ],
    });
    isValid(taskDefinition, status);
  });

  test("says why an instance that has its place does not start, though none waits for one", () => {
    const stuck = { reason: "not-starting" as const, message: "on n1: ErrImagePull: no such image" };
    const counts = { ...NO_INSTANCES, starting: 1 };
    const status = statusOf({ state: "Starting", instances: 1, counts, stuck }, { waiting: stuck });
    expect(status.why).toBe(stuck.message);
  });

  test("says why it waits, why it cannot take part, and how it ended", () => {
    const why = { reason: "no-node" as const, message: "4 nodes: 4 insufficient cpu" };
    const waiting = statusOf({}, { waiting: why });
    expect(waiting.why).toBe(why.message);
    expect(waiting.conditions).toContainEqual(
      expect.objectContaining({ type: "Waiting", status: "True", reason: "NoNode" }),
    );
    const rejected = statusOf(
      { rejected: { reason: "unknown-queue", message: "there is no queue q" } },
      { waiting: why },
    );
    expect(rejected.conditions).toEqual([
      expect.objectContaining({
        type: "Accepted",
        status: "False",
        reason: "UnknownQueue",
        message: "there is no queue q",
      }),
    ]);
    const failure = {
      index: 1,
      attempt: 0,
      node: "n1",
      reason: "exit-code" as const,
      message: "boom",
      exitCode: 3,
      atMs: nowMs,
    };
    const failed = statusOf({ state: "Failed", lastFailures: [failure] }, { waiting: why });
    expect(failed.conditions?.at(-1)).toMatchObject({ type: "Finished", reason: "Failed" });
    expect(failed.why).toBe("instance 1 on n1: exit code 3: boom");
    const sizing = { reason: "sizing" as const, message: "a dry run is asking" };
    const adopted = statusOf({ state: "Failed", lastFailures: [failure], rejected: sizing });
    expect(adopted.conditions?.[0]).toMatchObject({ type: "Accepted", status: "True" });
    const silent = statusOf({ state: "Failed", instances: 1, lastFailures: [{ ...failure, message: "" }] });
    expect(silent.why).toBe("on n1: exit code 3");
    const { exitCode: _, ...refused } = { ...failure, reason: "kubelet-refused" as const, message: "OutOfcpu" };
    expect(statusOf({ state: "Lost", instances: 1, lastFailures: [refused] }).why).toBe(
      "on n1: The kubelet refused the pod before it ran. OutOfcpu",
    );
  });

  test.each([
    { reason: "exit-code", exitCode: 3, why: "on n1: exit code 3" },
    { reason: "killed", exitCode: 143, why: "on n1: It was killed on request." },
    { reason: "killed", exitCode: undefined, why: "on n1: It was killed on request." },
  ] as const)(
    "says of one that ended by $reason why it did, with code $exitCode: $why",
    ({ reason, exitCode, why }) => {
      const code = exitCode === undefined ? {} : { exitCode };
      const failure = { index: 0, attempt: 0, node: "n1", reason, message: "", atMs: nowMs, ...code };
      expect(statusOf({ state: "Killed", instances: 1, lastFailures: [failure] }).why).toBe(why);
    },
  );

  test("gives a reason for what waits, and none while all runs: a queue that is closed meanwhile stops nothing", () => {
    const rejected = { reason: "queue-not-allowed", message: "queue q does not admit namespace ns" } as const;
    const some = statusOf({ state: "Running", counts: { ...NO_INSTANCES, pending: 1, running: 9 }, rejected });
    expect(some.why).toBe(rejected.message);
    const all = statusOf({ state: "Running", counts: { ...NO_INSTANCES, running: 10 }, rejected });
    expect(all).not.toHaveProperty("why");
    expect(all.conditions).toContainEqual(expect.objectContaining({ type: "Accepted", status: "False" }));
  });

  test("is the same for the same view, whatever the time (else an idle operator would write)", () => {
    const first = statusOf({ state: "Running" });
    const later = statusOf({ state: "Running" }, { standing: first.conditions, nowMs: nowMs + 60_000 });
    expect(later).toEqual(first);
  });

  test("is bounded, whatever it is made of", () => {
    const ranges = Array.from({ length: 20_000 }, (_, i) => String(i * 2)).join(",");
    const failure = {
      index: 1,
      attempt: 0,
      node: "n",
      reason: "pod-failed" as const,
      message: "x".repeat(5_000),
      atMs: nowMs,
    };
    const status = statusOf({
      state: "Failed",
      succeededIndexes: ranges,
      failedIndexes: ranges,
      attempts: Array.from({ length: 100 }, () => ({ indexes: ranges, ended: 1, failed: 1 })),
      lastFailures: Array.from({ length: 9 }, () => failure),
    });
    isValid(taskDefinition, status);
  });
});

describe("the statuses of Frameworks and Queues", () => {
  const view: FrameworkView = {
    key: "ns/fw",
    queue: "q",
    dominantShare: 0.12345,
    counts: { ...NO_INSTANCES, running: 2, staging: 1, starting: 1 },
    offers: { open: 1, accepted: 2, declined: 0, expired: 0, rescinded: 0, refused: 0 },
    allocated: { cpu: 1500, memory: 1_048_576 },
    offered: {},
    held: {},
    demand: { cpu: 500 },
    vainTurns: 0,
    lowered: [],
    why: { reason: "in-line", message: "others first" },
  };
  const context = { generation: 3, invalid: undefined, standing: [], nowMs };

  test("say what the broker knows", () => {
    const status = frameworkStatus(view, undefined, context);
    expect(status).toMatchObject({
      share: "12.3%",
      dominantShare: "0.1235",
      counts: { running: 2, staging: 2 },
      allocated: { cpu: "1500m", memory: "1Gi" },
      why: "others first",
      conditions: [{ type: "Accepted", status: "True" }],
    });
    isValid(frameworkDefinition as never, status);
    const queue: QueueView = {
      name: "q",
      weight: 1,
      guarantee: {},
      limit: {},
      allocated: { cpu: 1000 },
      offered: {},
      held: { memory: 1_048_576 },
      demand: {},
      dominantShare: 0.5,
      fairnessError: 0,
      frameworks: 2,
      queues: 3,
      counts: { pending: 1, running: 2 },
      inForce: true,
    };
    const queued = queueStatus(queue, context);
    const said = { dominantShare: "0.5000", allocated: { cpu: "1" }, held: { memory: "1Gi" } };
    expect(queued).toMatchObject({ ...said, frameworks: 2, queues: 3 });
    isValid(queueDefinition as never, queued);
  });

  test("say of weights that count for less than declared", () => {
    const lowered = [{ queue: "default", weight: 5, most: 1 }];
    expect(frameworkStatus({ ...view, lowered }, undefined, context).conditions?.[0]).toMatchObject({
      status: "True",
      message: "In use, but weight 5 in queue default counts as 1, its maxFrameworkWeight.",
    });
  });

  test("say what is held, where anything is", () => {
    expect(frameworkStatus(view, undefined, context)).not.toHaveProperty("held");
    const status = frameworkStatus({ ...view, held: { cpu: 500 } }, undefined, context);
    expect(status.held).toEqual({ cpu: "500m" });
    isValid(frameworkDefinition as never, status);
  });

  test("say whether the framework's program is there, where that is known", () => {
    const conditionOf = (state: "connected" | "disconnected" | "abandoned") => {
      const presence = { state, message: "Lease ns/l", keptUntilMs: nowMs };
      return frameworkStatus({ ...view, presence }, undefined, context).conditions?.[1];
    };
    const said = { type: "Connected", message: "Lease ns/l" };
    expect(conditionOf("connected")).toMatchObject({ ...said, status: "True", reason: "Connected" });
    expect(conditionOf("disconnected")).toMatchObject({ ...said, status: "False", reason: "Disconnected" });
    expect(conditionOf("abandoned")).toMatchObject({ ...said, status: "False", reason: "FailoverTimeout" });
    expect(frameworkStatus(view, undefined, context).conditions).toHaveLength(1);
  });

  test("say that offers are held back, and what is wrong with the object", () => {
    expect(frameworkStatus(view, "the policy is missing", context)).toMatchObject({
      why: "the policy is missing",
      conditions: [{ type: "Accepted" }, { type: "OffersHeldBack", status: "True" }],
    });
    expect(frameworkStatus(undefined, undefined, { ...context, invalid: "spec.x: wrong" }).conditions).toEqual([
      expect.objectContaining({ type: "Accepted", status: "False", reason: "Invalid", message: "spec.x: wrong" }),
    ]);
    expect(queueStatus(undefined, { ...context, invalid: "spec.x: wrong" }).conditions?.[0]).toMatchObject({
      status: "False",
    });
  });
});

describe("conditions", () => {
  test("keep the time of their last transition while their status stays", () => {
    const [before] = conditionsFrom([{ type: "A", status: "True", reason: "R", message: "m" }], [], 1, nowMs);
    const draft = { type: "A", reason: "S", message: "n" } as const;
    const [same] = conditionsFrom([{ ...draft, status: "True" }], [before!], 2, nowMs + 5_000);
    const [other] = conditionsFrom([{ ...draft, status: "False" }], [before!], 2, nowMs + 5_000);
    expect(same).toMatchObject({ reason: "S", observedGeneration: 2, lastTransitionTime: "2026-01-01T12:00:00Z" });
    expect(other).toMatchObject({ lastTransitionTime: "2026-01-01T12:00:05Z" });
  });

  test("every reason of the broker has a CamelCase one, and is found again by it", () => {
    for (const reason of Object.keys(REASONS) as Reason[]) {
      expect(conditionReason(reason)).toMatch(/^[A-Z][A-Za-z]*$/);
      expect(reasonOfCondition(conditionReason(reason))).toBe(reason);
    }
  });
});

describe("an Offer", () => {
  const draft = {
    key: "ns/fw-7-0",
    framework: "ns/fw",
    frameworkUid: "fw-1",
    queue: "q",
    term: "7",
    concurrency: "Exclusive" as const,
    slices: [
      {
        name: "s0",
        node: "n1",
        nodeUid: "u1",
        resources: { cpu: 1500, memory: 1_048_576, pods: 3 },
        labels: { zone: "a" },
      },
      { name: "s1", node: "n2", nodeUid: "u2", resources: { cpu: 500, "a.b/c": 1 }, labels: {} },
    ],
    expiresAtMs: nowMs,
    answerers: ["alice"],
  };

  test("is what the broker drafted: reading it back gives the same slices", () => {
    // biome-ignore lint/suspicious/noExplicitAny: looks into it
    const body = offerBody(draft) as any;
    expect(body.metadata).toMatchObject({
      name: "fw-7-0",
      namespace: "ns",
      labels: { "proffer.dev/framework": "fw", "proffer.dev/queue": "q" },
      ownerReferences: [{ kind: "Framework", name: "fw", uid: "fw-1" }],
    });
    expect(body.spec).toMatchObject({
      summary: "2 nodes: cpu 2, memory 1Gi, a.b/c 1",
      expiresAt: "2026-01-01T12:00:00.000Z",
    });
    expect(projectOffer(body).facts).toMatchObject({
      key: draft.key,
      framework: draft.framework,
      term: "7",
      slices: draft.slices,
    });
    for (const [member, schema] of Object.entries(offerDefinition.members)) schema.parse(body[member]);
  });

  test("ends with what became of each launch", () => {
    const refused = { reason: "too-large" as const, message: "x".repeat(3_000) };
    const status = offerStatus({
      phase: "Refused",
      launches: [{ task: "t", slice: "s0", indexes: "", refused }],
      reason: "too-large",
      message: "too large",
    });
    isValid(offerDefinition as never, status);
    expect(status).toMatchObject({ phase: "Refused", launches: [{ task: "t", refused: { reason: "too-large" } }] });
  });

  test("ranges that are too long end at a comma", () => expect(clipRanges("0-41,57,123", 9)).toBe("0-41,57"));
});
