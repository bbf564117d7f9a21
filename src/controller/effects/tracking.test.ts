import { describe, expect, test } from "vitest";
import { FakeKube, status } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { JobQueue } from "./job-queue.ts";
import { type FinalizedMeta, releasePod } from "./tracking.ts";

const ours = "proffer.dev/tracking";

function setUp(finalizers: string[], { uid = "pod-1" } = {}) {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const jobs = new JobQueue({ clock, random: () => 0, telemetry: noTelemetry, log: noLogger });
  kube.put("pods", { metadata: { name: "p", namespace: "ns", uid, finalizers } });
  let leads = true;
  const release = async (cached?: FinalizedMeta) => {
    const context = { client: kube.client, clock, log: noLogger, fence: () => leads, feed: () => {} };
    jobs.add(releasePod({ type: "release-pod", key: "ns/p", uid: "pod-1" }, context, () => cached));
    await clock.advance(30_000);
  };
  const left = () => kube.get("pods", "ns", "p")?.metadata.finalizers ?? [];
  return { kube, jobs, release, left, depose: () => (leads = false) };
}

describe("the tracking finalizer", () => {
  test("goes, and others' stay", async () => {
    const { release, left } = setUp(["a/b", ours, "c/d"]);
    await release();
    expect(left()).toEqual(["a/b", "c/d"]);
  });

  test("goes without a read where the cache knows the pod", async () => {
    const { kube, release, left } = setUp([ours]);
    await release(kube.get("pods", "ns", "p").metadata);
    expect(left()).toEqual([]);
    expect(kube.requests.map(({ method }) => method)).toEqual(["PATCH"]);
  });

  test("of a pod to which somebody has added another since is taken off that list (guards: the resourceVersion)", async () => {
    const { kube, release, left } = setUp([ours]);
    const stale = kube.get("pods", "ns", "p").metadata;
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-1", finalizers: [ours, "new/one"] } });
    await release(stale);
    expect(left()).toEqual(["new/one"]);
  });

  test("of a pod that is gone counts as gone", async () => {
    const { kube, jobs, release } = setUp([ours]);
    const stale = kube.get("pods", "ns", "p").metadata;
    kube.remove("pods", kube.get("pods", "ns", "p"));
    await release(stale);
    expect(jobs.size).toBe(0);
  });

  test("of another pod of that name stays (guards: the UID)", async () => {
    const { release, left } = setUp([ours], { uid: "pod-2" });
    await release();
    expect(left()).toEqual([ours]);
    await release({ uid: "pod-1", resourceVersion: "1", finalizers: [ours] });
    expect(left()).toEqual([ours]);
  });

  test("lets a pod that is being deleted go", async () => {
    const { kube, release } = setUp([ours]);
    const pod = kube.get("pods", "ns", "p");
    kube.put("pods", { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
    await release();
    expect(kube.all("pods")).toEqual([]);
  });

  test("is tried again until it is gone", async () => {
    const { kube, release, left } = setUp([ours]);
    let faults = 3;
    kube.fault = ({ method }) =>
      method === "PATCH" && faults-- > 0 ? { error: status(500, "InternalError") } : undefined;
    await release();
    expect(left()).toEqual([]);
  });

  test("stays when the lease is lost (guards: the fence)", async () => {
    const { kube, release, left, depose } = setUp([ours]);
    depose();
    await release(kube.get("pods", "ns", "p").metadata);
    expect(left()).toEqual([ours]);
  });
});
