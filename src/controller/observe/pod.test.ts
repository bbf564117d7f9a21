import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { podObject, taskUid } from "../objects.test-support.ts";
import { projectPod, samePod } from "./pod.ts";

const foreign = (over: Parameters<typeof podObject>[0] = {}) =>
  podObject({ ...over, metadata: { labels: {}, ownerReferences: [], finalizers: [], ...over.metadata } });
const labels = (podObject().metadata as { labels: Record<string, string> }).labels;

describe("a pod of ours", () => {
  test("is told by its label and its owner, with what the broker needs", () => {
    expect(projectPod(podObject())).toEqual({
      kind: "own",
      uid: "pod-1",
      resourceVersion: "5",
      finalizers: ["proffer.dev/tracking"],
      facts: {
        uid: "pod-1",
        key: "ns/t-abc-0-0",
        taskUid,
        index: 0,
        attempt: 0,
        node: "n1",
        queue: "default",
        framework: "ns/fw",
        phase: "Pending",
        deleting: false,
        tracked: true,
        requests: { cpu: 500, memory: 65_536, pods: 1 },
        started: false,
      },
    });
  });

  test.each([
    { name: "without an owner", metadata: { ownerReferences: [] } },
    {
      name: "with another owner",
      metadata: { ownerReferences: [{ kind: "Task", apiVersion: "proffer.dev/v1", uid: "x" }] },
    },
    {
      name: "whose owner is no Task",
      metadata: { ownerReferences: [{ kind: "Job", apiVersion: "batch/v1", uid: taskUid }] },
    },
    {
      name: "whose owner is a Task of another group",
      metadata: { ownerReferences: [{ kind: "Task", apiVersion: "example.com/v1", uid: taskUid }] },
    },
    { name: "without the label", metadata: { labels: { ...labels, "proffer.dev/task-uid": undefined } } },
    { name: "with a senseless index", metadata: { labels: { ...labels, "proffer.dev/index": "-1" } } },
    { name: "with a senseless attempt", metadata: { labels: { ...labels, "proffer.dev/attempt": "1e3" } } },
  ])("is a foreign one $name: marks alone can be forged", ({ metadata }) => {
    expect(projectPod(podObject({ metadata })).kind).toBe("foreign");
  });

  test("tells since when it is there, and for whom its room is taken back", () => {
    const metadata = {
      creationTimestamp: "2026-01-01T00:00:05Z",
      annotations: { "proffer.dev/reclaimed-for": "owner" },
    };
    expect(projectPod(podObject({ metadata }))).toMatchObject({
      facts: { createdAtMs: Date.UTC(2026, 0, 1, 0, 0, 5), reclaimedFor: "owner" },
    });
  });

  test("keeps its claim when it has ended: that is the broker's to decide", () => {
    expect(projectPod(podObject({ status: { phase: "Failed" } })).kind).toBe("own");
  });

  const state = (state: object, more: object = {}) => ({ containerStatuses: [{ name: "main", state, ...more }] });
  test.each([
    { name: "waits", status: state({ waiting: { reason: "ContainerCreating" } }), facts: { started: false } },
    {
      name: "waits with a message",
      status: { phase: "Pending", ...state({ waiting: { reason: "ImagePullBackOff", message: "no such image" } }) },
      facts: { started: false, reason: "ImagePullBackOff", message: "no such image" },
    },
    {
      name: "runs",
      status: { phase: "Running", ...state({ running: { startedAt: "2026-01-01T00:00:01Z" } }) },
      facts: { started: true, startedAtMs: Date.UTC(2026, 0, 1, 0, 0, 1) },
    },
    {
      name: "ran before",
      status: {
        phase: "Running",
        ...state({ waiting: { reason: "x" } }, { lastState: { terminated: { startedAt: "2026-01-01T00:00:01Z" } } }),
      },
      facts: { started: true },
    },
    {
      name: "was called terminated without ever having started",
      status: {
        phase: "Failed",
        ...state({ terminated: { exitCode: 137, reason: "ContainerStatusUnknown", startedAt: null } }),
      },
      facts: { started: false, exitCode: 137 },
    },
    {
      name: "failed",
      status: {
        phase: "Failed",
        ...state({
          terminated: {
            exitCode: 3,
            reason: "Error",
            message: "boom",
            startedAt: "2026-01-01T00:00:01Z",
            finishedAt: "2026-01-01T00:00:09Z",
          },
        }),
      },
      facts: {
        phase: "Failed",
        started: true,
        exitCode: 3,
        reason: "Error",
        message: "boom",
        startedAtMs: Date.UTC(2026, 0, 1, 0, 0, 1),
        finishedAtMs: Date.UTC(2026, 0, 1, 0, 0, 9),
      },
    },
    {
      name: "was refused by the kubelet",
      status: { phase: "Failed", reason: "OutOfcpu", message: "no room" },
      facts: { phase: "Failed", started: false, reason: "OutOfcpu", message: "no room" },
    },
    {
      name: "is in a phase nobody knows",
      status: { phase: "Unknown" },
      facts: { phase: "Pending" },
    },
  ])("$name", ({ status, facts }) => expect(projectPod(podObject({ status }))).toMatchObject({ facts }));

  test("is being deleted, or not tracked any more", () => {
    const metadata = { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["other/x"] };
    expect(projectPod(podObject({ metadata }))).toMatchObject({
      finalizers: ["other/x"],
      facts: { deleting: true, tracked: false },
    });
  });

  const deletionTimestamp = "2026-01-01T00:00:00Z";
  test.each([
    { name: "deleted with no grace", metadata: { deletionTimestamp, deletionGracePeriodSeconds: 0 }, forced: true },
    { name: "that may still end by itself", metadata: { deletionTimestamp, deletionGracePeriodSeconds: 30 } },
    { name: "that has ended", metadata: { deletionTimestamp, deletionGracePeriodSeconds: 0 }, phase: "Succeeded" },
    { name: "that nobody deletes", metadata: {} },
  ])("$name: forced is $forced", ({ metadata, phase = "Running", forced }) => {
    const pod = projectPod(podObject({ metadata, status: { phase } }));
    expect(pod.kind === "own" && pod.facts.forced).toBe(forced);
  });

  test("carries its offer", () => {
    const metadata = { labels: { ...labels, "proffer.dev/offer": "uid.2" } };
    expect(projectPod(podObject({ metadata }))).toMatchObject({ facts: { offer: "uid.2" } });
  });
});

describe("a pod of others", () => {
  test("takes room on its node", () => {
    expect(projectPod(foreign())).toEqual({
      kind: "foreign",
      uid: "pod-1",
      facts: { uid: "pod-1", node: "n1", requests: { cpu: 500, memory: 65_536, pods: 1 } },
    });
  });

  test.each([
    { name: "that has succeeded", pod: foreign({ status: { phase: "Succeeded" } }) },
    { name: "that has failed", pod: foreign({ status: { phase: "Failed" } }) },
    { name: "without a node", pod: foreign({ spec: { nodeName: undefined } }) },
  ])("takes no room $name", ({ pod }) => expect(projectPod(pod).kind).toBe("none"));

  const pinned = (values: unknown) => ({
    nodeName: undefined,
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values }] }],
        },
      },
    },
  });
  const daemonSet = { kind: "DaemonSet", apiVersion: "apps/v1", uid: "ds" };
  const ofDaemonSet = { ownerReferences: [{ ...daemonSet, controller: true }] };

  test("of a DaemonSet is pinned to its node until it is bound", () => {
    expect(projectPod(foreign({ metadata: ofDaemonSet, spec: pinned(["n7"]) }))).toMatchObject({
      kind: "foreign",
      facts: { node: "n7", pinned: true },
    });
    const bound = projectPod(foreign({ metadata: ofDaemonSet, spec: { ...pinned(["n7"]), nodeName: "n7" } }));
    expect(bound).toMatchObject({ kind: "foreign", facts: { node: "n7" } });
    expect(bound).not.toHaveProperty("facts.pinned");
  });

  test("that names a DaemonSet as owner, which does not control it, is none of its pods", () => {
    const metadata = { ownerReferences: [daemonSet] };
    expect(projectPod(foreign({ metadata, spec: pinned(["n7"]) })).kind).toBe("none");
  });

  test("that pins itself without being a DaemonSet's takes none: anybody could fill nodes that way", () => {
    expect(projectPod(foreign({ spec: pinned(["n7"]) })).kind).toBe("none");
    expect(projectPod(foreign({ metadata: ofDaemonSet, spec: pinned(["n7", "n8"]) })).kind).toBe("none");
  });
});

test("status changes that the broker is not told are no changes", () => {
  const before = projectPod(foreign());
  expect(samePod(before, projectPod(foreign({ status: { phase: "Running" } })))).toBe(true);
  expect(samePod(before, projectPod(foreign({ spec: { nodeName: "n2" } })))).toBe(false);
  const own = projectPod(podObject());
  expect(samePod(own, projectPod(podObject({ metadata: { resourceVersion: "6" } })))).toBe(true);
  expect(samePod(own, projectPod(podObject({ status: { phase: "Running" } })))).toBe(false);
  expect(samePod(own, before)).toBe(false);
});

test("whatever a pod looks like, reading it does not throw", () => {
  const part = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant(undefined));
  const shape = fc.record(
    {
      metadata: fc.oneof(part, fc.constant(podObject().metadata)),
      spec: fc.oneof(part, fc.constant(podObject().spec)),
      status: fc.oneof(part, fc.record({ containerStatuses: part, conditions: part, phase: part })),
    },
    { requiredKeys: [] },
  );
  fc.assert(fc.property(fc.oneof(part, shape), (pod) => ["own", "foreign", "none"].includes(projectPod(pod).kind)));
});
