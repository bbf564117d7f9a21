import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// A Builtin framework needs no code: Tasks in, pods out. Each test has a namespace and nodes of its own.

let site: Site;
beforeAll(async () => {
  site = await Site.open({ controllers: ["serviceaccount-controller", "garbage-collector-controller"] });
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const SMALL = "cpu=4,memory=8Gi";
/** A resource that only the nodes of one test have, so that shares and guarantees of it are that test's alone. */
const slots = (count: number) => `cpu=64,memory=64Gi,test.proffer/slots=${count}`;
const SLOT = { cpu: "10m", "test.proffer/slots": "1" };

/** Which nodes the pods of a namespace are on, and how many on each. */
function byNode(pods: readonly Json[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { spec } of pods) counts[spec.nodeName] = (counts[spec.nodeName] ?? 0) + 1;
  return counts;
}

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

async function builtin(namespace: string, shape: string, count = 1, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, shape, count);
  await tenant.framework(spec);
  return tenant;
}

describe.concurrent("a framework without code", () => {
  test("runs what its Tasks say and tells how it went", async () => {
    const tenant = await builtin("simple", SMALL);
    await tenant.task("hello", { fake: { duration: "200ms" } });
    expect(await tenant.ended("hello")).toMatchObject({
      state: "Finished",
      progress: "1/1",
      succeededIndexes: "0",
      counts: { finished: 1, pending: 0, running: 0 },
      startedAt: expect.any(String),
      finishedAt: expect.any(String),
    });
    const [pod, ...others] = await tenant.pods("hello");
    expect(others).toEqual([]);
    expect(pod.spec.nodeName).toBe("simple-0000");
    expect(pod.metadata.labels).toMatchObject({ "proffer.dev/framework": "fw", "proffer.dev/queue": "default" });
  });

  test.each([
    { placement: "BinPack", nodes: [4] },
    { placement: "Spread", nodes: [2, 1, 1] },
  ])("places four instances by $placement", async ({ placement, nodes }) => {
    const tenant = await builtin(placement.toLowerCase(), SMALL, 3, { scheduler: { type: "Builtin", placement } });
    await tenant.task("four", { instances: 4 });
    const pods = await tenant.podsUntil("four run", running(4));
    expect(Object.values(byNode(pods)).sort((a, b) => b - a)).toEqual(nodes);
  });

  test("goes where selector and affinity allow", async () => {
    const tenant = await builtin("selects", SMALL, 2);
    const [fast] = await tenant.nodes(SMALL, 1, { disk: "ssd", generation: "7" });
    const [old] = await tenant.nodes(SMALL, 1, { disk: "ssd", generation: "3" });
    await tenant.task("selector", { instances: 2, spec: { constraints: { nodeSelector: { generation: "3" } } } });
    const newer = { matchExpressions: [{ key: "generation", operator: "Gt", values: ["5"] }] };
    await tenant.task("affinity", { instances: 2, spec: { constraints: { nodeAffinity: [newer] } } });
    const none = { matchExpressions: [{ key: "generation", operator: "Gt", values: ["9"] }] };
    await tenant.task("nowhere", { spec: { constraints: { nodeAffinity: [none] } } });
    expect(byNode(await tenant.podsUntil("two run", running(2), "selector"))).toEqual({ [old!]: 2 });
    expect(byNode(await tenant.podsUntil("two run", running(2), "affinity"))).toEqual({ [fast!]: 2 });
    expect(await tenant.waits("nowhere", "NoNode")).toContain("not matching the constraints");
    expect(await tenant.pods("nowhere")).toEqual([]);
  });

  test("keeps away from taints that it does not tolerate", async () => {
    const tenant = await builtin("taints", SMALL);
    const node = "/api/v1/nodes/taints-0000";
    await site.cluster.api.patch(node, { spec: { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] } });
    await tenant.task("plain");
    expect(await tenant.waits("plain", "NoNode")).toContain("with taint gpu that is not tolerated");
    const tolerations = [{ key: "gpu", operator: "Equal", value: "yes" }];
    await tenant.task("tolerant", { spec: { constraints: { tolerations } } });
    await tenant.podsUntil("it runs", running(1), "tolerant");
    expect(await tenant.pods("plain")).toEqual([]);
    await site.cluster.api.patch(node, { spec: { taints: null } });
    await tenant.podsUntil("it runs", running(1), "plain");
  });

  test("spreads over zones as far as it is told to", async () => {
    const tenant = await builtin("zones", SMALL, 3);
    await tenant.task("even", {
      instances: 6,
      spec: { constraints: { spread: [{ topologyKey: "topology.kubernetes.io/zone", maxSkew: 1 }] } },
    });
    const pods = await tenant.podsUntil("six run", running(6));
    expect(byNode(pods)).toEqual({ "zones-0000": 2, "zones-0001": 2, "zones-0002": 2 });
  });

  test("uses no cordoned node until it is uncordoned", async () => {
    const tenant = await builtin("cordons", SMALL);
    await site.kubectl(["cordon", "cordons-0000"]);
    await tenant.task("waits");
    expect(await tenant.waits("waits", "NoNode")).toContain("cordoned");
    await site.kubectl(["uncordon", "cordons-0000"]);
    await tenant.podsUntil("it runs", running(1));
  });

  test("runs no more instances at once than parallelism says, also when that changes", async () => {
    const tenant = await builtin("parallel", "cpu=40,memory=8Gi");
    await tenant.task("many", { instances: 40, fake: { duration: "500ms" }, spec: { parallelism: 4 } });
    await tenant.until("many", "some are done", ({ counts }) => counts?.finished >= 8);
    expect(await tenant.peak()).toBe(4);
    await tenant.patchTask("many", { parallelism: 20 });
    expect(await tenant.ended("many")).toMatchObject({ state: "Finished", succeededIndexes: "0-39" });
    expect(await tenant.peak()).toBeGreaterThan(4);
    expect(await tenant.peak()).toBeLessThanOrEqual(20);
    expect(new Set((await tenant.seen()).map(({ index }) => index)).size).toBe(40);
    expect(await tenant.seen()).toHaveLength(40);
  });

  test("takes Tasks of higher priority first", async () => {
    const tenant = await builtin("priorities", "cpu=1,memory=8Gi");
    await tenant.task("blocks");
    await tenant.podsUntil("it runs", running(1), "blocks");
    await tenant.task("low", { fake: { duration: "100ms" }, spec: { priority: -5 } });
    await tenant.task("usual", { fake: { duration: "100ms" } });
    await tenant.task("high", { fake: { duration: "100ms" }, spec: { priority: 5 } });
    for (const name of ["low", "usual", "high"]) await tenant.waits(name, "NoNode");
    await tenant.patchTask("blocks", { kill: {} });
    await tenant.ended("low");
    expect((await tenant.seen()).map(({ task }) => task)).toEqual(["blocks", "high", "usual", "low"]);
  });

  test("does nothing while suppressed", async () => {
    const tenant = await builtin("suppressed", SMALL, 1, { suppressed: true });
    await tenant.task("later");
    await tenant.waits("later", "Suppressed");
    expect(await tenant.pods()).toEqual([]);
    await tenant.patchFramework({ suppressed: false });
    await tenant.podsUntil("it runs", running(1));
  });
});

describe.concurrent("an instance that fails", () => {
  test("is tried again after growing pauses, then the Task has failed", async () => {
    const tenant = await builtin("retries", SMALL);
    const retry = { limit: 2, backoffSeconds: 1 };
    await tenant.task("fails", { fake: { "exit-code": "7" }, spec: { retry } });
    const status = await tenant.ended("fails");
    expect(status).toMatchObject({ state: "Failed", failedIndexes: "0", counts: { failed: 1 } });
    expect(status.lastFailures.map(({ attempt, exitCode, reason }: Json) => [attempt, exitCode, reason])).toEqual([
      [2, 7, "exit-code"],
      [1, 7, "exit-code"],
      [0, 7, "exit-code"],
    ]);
    const [third, , first] = status.lastFailures.map(({ at }: Json) => Date.parse(at));
    // 1 s and 2 s, and a failure's time is in whole seconds.
    expect(third - first).toBeGreaterThanOrEqual(2_000);
    expect((await tenant.seen()).map(({ attempt }) => attempt)).toEqual([0, 1, 2]);
    expect(await tenant.peak()).toBe(1);
  });

  test.each([
    { name: "zero", fake: { duration: "100ms", "exit-code": "0" }, state: "Finished", exitCode: undefined },
    { name: "three", fake: { duration: "100ms", "exit-code": "3" }, state: "Failed", exitCode: 3 },
    { name: "oom", fake: { kill: "OOMKilled" }, state: "Failed", exitCode: 137 },
  ])("tells its exit code: $name", async ({ name, fake, state, exitCode }) => {
    const tenant = await builtin(`exits-${name}`, SMALL);
    await tenant.task(name, { fake });
    const status = await tenant.ended(name);
    expect(status.state).toBe(state);
    expect(status.lastFailures?.[0].exitCode).toBe(exitCode);
    if (name === "oom") expect(status.lastFailures[0].message).toContain("OOMKilled");
  });
});

describe.concurrent("ending a Task early", () => {
  test("kills all of its instances with the grace asked for, those that wait too", async () => {
    const tenant = await builtin("kills", "cpu=2,memory=8Gi");
    await tenant.task("all", { instances: 3, fake: { stop: "grace" } });
    await tenant.podsUntil("two run", running(2));
    await tenant.patchTask("all", { kill: { gracePeriodSeconds: 1 } });
    expect(await tenant.ended("all")).toMatchObject({ state: "Killed", counts: { killed: 3 }, failedIndexes: "0-2" });
    expect(await tenant.seen()).toHaveLength(2);
    for (const { object, phases } of await tenant.seen()) {
      // A fake kubelet that used all of its grace ends the containers by force.
      expect(object.status.containerStatuses[0].state.terminated.exitCode).toBe(137);
      expect(phases.at(-1)).toBe("Failed");
    }
  });

  test("kills the instances that are named and leaves the others alone", async () => {
    const tenant = await builtin("kills-some", SMALL);
    await tenant.task("some", { instances: 4 });
    await tenant.podsUntil("four run", running(4));
    await tenant.patchTask("some", { kill: { indexes: "1-2" } });
    expect(await tenant.counts("some", { killed: 2, running: 2 })).toMatchObject({
      state: "Running",
      failedIndexes: "1-2",
    });
    const left = (await tenant.pods()).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    expect(left.map(({ metadata }) => metadata.labels["proffer.dev/index"]).sort()).toEqual(["0", "3"]);
  });

  test("by deleting it ends its pods, and nothing is left", async () => {
    const tenant = await builtin("deletes", "cpu=2,memory=8Gi");
    await tenant.task("gone", { instances: 4 });
    await tenant.podsUntil("two run", running(2));
    await tenant.api.delete(tenant.path("tasks", "gone"));
    await tenant.podsUntil("none is left", (pods) => pods.length === 0);
    expect(await tenant.api.find(tenant.path("tasks", "gone"))).toBeUndefined();
    expect(await tenant.seen()).toHaveLength(2);
    // Its room is free again.
    await tenant.task("next", { instances: 2 });
    await tenant.podsUntil("two run", running(2), "next");
  });

  test("is not needed where its time after the end is set", async () => {
    const tenant = await builtin("expires", SMALL);
    await tenant.task("short", { fake: { duration: "100ms" }, spec: { ttlSecondsAfterFinished: 2 } });
    const { finishedAt } = await tenant.ended("short");
    await eventually(
      "the Task is gone",
      () => tenant.api.find(tenant.path("tasks", "short")),
      (task) => task === undefined,
    );
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(finishedAt) + 2_000);
    await tenant.podsUntil("none is left", (pods) => pods.length === 0);
  });
});

describe.concurrent("a queue", () => {
  test("never goes over its limit, and its Tasks say that they wait for it", async () => {
    await site.queue("limited", { limit: { cpu: "2" } });
    const tenant = await builtin("limits", "cpu=16,memory=16Gi", 1, { queues: [{ name: "limited" }] });
    await tenant.task("much", { instances: 6, fake: { duration: "3s" } });
    expect(await tenant.waits("much", "OverLimit")).toMatch(/queue limited: 1 asked, 0 left of its limit 2/);
    expect(await tenant.ended("much")).toMatchObject({ state: "Finished", progress: "6/6" });
    expect(await tenant.peak()).toBe(2);
  });

  test("keeps its guarantee free from others while it waits for a node", async () => {
    // A day to give back what is borrowed: here nobody is made to.
    const reclaim = { graceSeconds: 86_400 };
    await site.queue("guaranteed", { guarantee: { "test.proffer/slots": "3" }, reclaim });
    await site.queue("greedy", { reclaim });
    const queues = [{ name: "guaranteed" }];
    const tenant = await site.tenant("guarantees");
    await tenant.framework({ queues }, "sure");
    await tenant.framework({ queues: [{ name: "greedy" }] }, "greedy");
    const constraints = { nodeSelector: { kind: "special" } };
    await tenant.nodes(slots(3), 1, { kind: "special" });
    await tenant.task("filler", { framework: "greedy", instances: 3, requests: SLOT, spec: { constraints } });
    await tenant.podsUntil("the special node is full", running(3), "filler");
    await tenant.task("sure", { framework: "sure", instances: 3, requests: SLOT, spec: { constraints } });
    await tenant.waits("sure", "AskedBack");
    await tenant.nodes(slots(4));
    const elsewhere = { nodeAffinity: [{ matchExpressions: [{ key: "kind", operator: "DoesNotExist" }] }] };
    await tenant.task("greedy", {
      framework: "greedy",
      instances: 4,
      requests: SLOT,
      spec: { constraints: elsewhere },
    });
    expect(await tenant.waits("greedy", "KeptBack")).toContain("kept back");
    expect(await tenant.pods("greedy")).toHaveLength(1);
    // Once the guarantee is met, nothing is kept back any more.
    await tenant.patchTask("filler", { kill: {} });
    await tenant.podsUntil("three run", running(3), "sure");
    await tenant.podsUntil("four run", running(4), "greedy");
  });

  test("is shared by its frameworks as their weights say", async () => {
    await site.queue("weighed");
    const tenant = await site.tenant("weights");
    await tenant.framework({ queues: [{ name: "weighed", weight: 3 }] }, "heavy");
    await tenant.framework({ queues: [{ name: "weighed", weight: 1 }] }, "light");
    for (const framework of ["heavy", "light"]) {
      await tenant.task(framework, { framework, instances: 8, requests: { "test.proffer/shares": "1", cpu: "10m" } });
    }
    for (const task of ["heavy", "light"]) await tenant.waits(task, "NoNode");
    await tenant.nodes("cpu=64,memory=64Gi,test.proffer/shares=8");
    await tenant.podsUntil("eight run", running(8));
    expect([(await tenant.pods("heavy")).length, (await tenant.pods("light")).length]).toEqual([6, 2]);
  });
});
