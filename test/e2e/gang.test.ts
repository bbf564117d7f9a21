import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { Person } from "./support/person.ts";
import type { SeenPod } from "./support/pod-watch.ts";
import { needs, Site } from "./support/site.ts";
import { QUEUES, type TaskWishes, type Tenant } from "./support/tenant.ts";

// What starts together, on the real API server: Tasks with `gang.minimum`, and groups of Tasks. Each test has a namespace and
// nodes of its own.

const HOLD_AFTER_SECONDS = 5;

let site: Site;
beforeAll(async () => {
  site = await Site.open({
    controllers: ["serviceaccount-controller", "resourcequota-controller"],
    args: ["--hold-after-seconds", String(HOLD_AFTER_SECONDS)],
  });
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

/** So many instances, of which so many start together. */
function gang(instances: number, minimum = instances, wishes: TaskWishes = {}): TaskWishes {
  return { ...wishes, instances, spec: { gang: { minimum }, ...wishes.spec } };
}

async function builtin(namespace: string, cpu: number, nodes = 1, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, `cpu=${cpu},memory=64Gi`, nodes);
  await tenant.framework(spec);
  return tenant;
}

/** A name for each instance of the pods, in order. */
const instances = (pods: readonly SeenPod[]) => pods.map(({ task, index }) => `${task}-${index}`).sort();

/** What the operator says when it is asked why the Task waits. */
async function explain({ namespace }: Tenant, task: string, token: string): Promise<string> {
  const url = `${site.operator.url}/explain/task/${namespace}/${task}`;
  const { why } = (await (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).json()) as Json;
  return `${why?.reason}: ${why?.message}`;
}

describe.concurrent("a gang", () => {
  test("starts its minimum at once or says why it cannot, and the rest as there is room", async () => {
    const tenant = await builtin("elastic", 2);
    await tenant.task("train", gang(6, 3));
    expect(await tenant.waits("train", "GangTooLarge")).toBe(
      "gang of 3: 3 together, 2 fit on the nodes it may use if they were empty; add nodes, or ask for less",
    );
    expect(await tenant.seen()).toEqual([]);
    await tenant.nodes("cpu=2,memory=64Gi");
    await tenant.podsUntil("as many as there is room for", running(4));
    await tenant.nodes("cpu=2,memory=64Gi");
    await tenant.podsUntil("the rest", running(6));
    await tenant.until("train", "to have started", ({ startedTogether }) => startedTogether);
  });

  test("that needs more than half of the cluster starts after another that does, whole, and never a part of it", async () => {
    const tenant = await builtin("halves", 5);
    await tenant.framework({}, "other");
    const names = ["a", "b", "c"];
    await Promise.all(names.map((name, n) => tenant.task(name, gang(3, 3, { framework: n === 0 ? "fw" : "other" }))));
    const begun: string[] = [];
    for (const _ of names) {
      const pods = await tenant.podsUntil("one of them runs", running(3));
      const [name, ...others] = new Set<string>(pods.map(({ metadata }) => metadata.labels["proffer.dev/task"]));
      expect(others).toEqual([]);
      begun.push(name!);
      // Of those that wait nothing was ever there.
      expect(new Set((await tenant.seen()).map(({ task }) => task))).toEqual(new Set(begun));
      await tenant.patchTask(name!, { kill: {} });
      await tenant.ended(name!);
    }
    expect(begun.sort()).toEqual(names);
    expect(await tenant.seen()).toHaveLength(9);
  });

  test("goes on when one of it fails: that one is tried again on its own", async () => {
    const tenant = await builtin("retries", 4);
    const retry = { limit: 1, backoffSeconds: 1, maxBackoffSeconds: 1 };
    await tenant.task("train", gang(4, 4, { spec: { retry } }));
    const [victim, ...others] = await tenant.podsUntil("all run", running(4));
    await tenant.api.patch(tenant.podPath(victim.metadata.name), {
      metadata: { annotations: { "fake-kubelet/kill": "OOMKilled" } },
    });
    const again = (pods: Json[]) =>
      pods.filter(({ metadata }) => metadata.labels["proffer.dev/attempt"] === "1").length === 1 &&
      pods.filter(({ status }) => status.phase === "Running").length === 4;
    const pods = await tenant.podsUntil("it runs again", again);
    const uids = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const { metadata } of others) expect(uids).toContain(metadata.uid);
    expect(await tenant.seen()).toHaveLength(5);
  });

  test("of which the API server refuses some pods is undone, and starts anew as a whole", async () => {
    const tenant = await builtin("undone", 4);
    const path = "/api/v1/namespaces/undone/resourcequotas";
    await tenant.api.create(path, { metadata: { name: "few" }, spec: { hard: { pods: "2" } } });
    const few = () => tenant.api.get(`${path}/few`);
    await eventually("the quota is in force", few, ({ status }) => status?.hard?.pods === "2");
    await tenant.task("train", gang(4));
    // Again and again: two come, two are refused, and the two go.
    const isOver = (seen: SeenPod[]) =>
      seen.length >= 2 && seen.every(({ object: { metadata } }) => metadata.deletionTimestamp);
    await eventually("what was started ends", () => tenant.seen(), isOver);
    await tenant.api.patch(`${path}/few`, { spec: { hard: { pods: "9" } } });
    await tenant.podsUntil("all run", (pods) => pods.filter(({ status }) => status.phase === "Running").length === 4);
    const status = await tenant.until("train", "to have started", ({ startedTogether }) => startedTogether);
    expect(status.counts).toMatchObject({ failed: 0, lost: 0, killed: 0, running: 4 });
  });

  test("larger than its queue's limit says so to kubectl, with what to do, and starts once that is done", async () => {
    await site.queue("narrow", { limit: { cpu: "6" } });
    const tenant = await builtin("bounds", 8, 1, { queues: [{ name: "narrow" }] });
    const app = await Person.in(site.cluster, "bounds", "app");
    await tenant.task("train", gang(8));
    const why = "gang of 8: cpu 8 together, the limit of queue narrow is 6; raise it, or ask for less";
    expect(await tenant.waits("train", "GangTooLarge")).toBe(why);
    const described = await app.kubectl("describe", "task", "train");
    expect(described.replaceAll(/\s+/g, " ")).toContain(why);
    expect(described).toMatch(/Reason: +GangTooLarge/);
    expect(await tenant.seen()).toEqual([]);
    await site.cluster.api.patch("/apis/proffer.dev/v1alpha1/queues/narrow", { spec: { limit: { cpu: "8" } } });
    await tenant.podsUntil("all run", running(8));
  });
});

describe.concurrent("a group of Tasks", () => {
  const group = { name: "spark", size: 2 };
  const driver: TaskWishes = { requests: { cpu: "3" }, spec: { group } };
  const executors = gang(3, 2, { requests: { cpu: "2" }, spec: { group } });

  test("starts whole or not at all: driver and executors", async () => {
    const tenant = await builtin("group", 6);
    await Person.in(site.cluster, "group", "app");
    const token = await site.cluster.requestToken("group", "app");
    await tenant.task("driver", driver);
    expect(await tenant.waits("driver", "GangNotReady")).toBe("group spark: 1 of its 2 tasks exist");
    await tenant.task("executors", executors);
    const asked = () => explain(tenant, "executors", token);
    await eventually("both wait for room", asked, (why) =>
      why.startsWith("gang-too-large: group spark of 2 tasks: cpu 7"),
    );
    expect(await tenant.seen()).toEqual([]);
    await tenant.nodes("cpu=2,memory=64Gi");
    await tenant.podsUntil("all that start together", running(3));
    expect(instances(await tenant.seen())).toEqual(["driver-0", "executors-0", "executors-1"]);
    await tenant.nodes("cpu=2,memory=64Gi");
    await tenant.podsUntil("the third executor", running(4));
  });
});

describe.concurrent("a gang in offers", () => {
  test("is offered as a whole in one offer; an answer with half of it is refused, the whole one carried out", async () => {
    const tenant = await site.tenant("offers", "cpu=2,memory=64Gi", 3);
    const app = await Person.in(site.cluster, "offers", "app");
    await tenant.framework({ scheduler: { type: "Offers" }, answerers: [app.user], offers: { timeoutSeconds: 120 } });
    await tenant.task("train", gang(5));
    const all = async (): Promise<Json[]> => (await tenant.api.get(tenant.path("offers"))).items;
    const open = async () => (await all()).filter(({ status }) => status?.phase === "Open");
    const offered = async () => (await eventually("one offer", open, (offers) => offers.length === 1))[0];
    const answered = async (offer: Json, count: (cpu: number) => number) => {
      const slices: Json[] = offer.spec.slices;
      const launches = slices.map(({ name, resources }) => ({
        task: "train",
        slice: name,
        count: count(Number(resources.cpu)),
      }));
      const answer = { by: app.user, decision: "Accept", launches, filter: { refuseSeconds: 0 } };
      expect(await app.patch("offer", offer.metadata.name, { answer })).toMatchObject({ code: 0 });
      const read = () => tenant.api.get(tenant.path("offers", offer.metadata.name));
      return (await eventually("the offer ends", read, ({ status }) => status.phase !== "Open")).status;
    };
    const first = await offered();
    expect(first.spec.slices.map(({ resources }: Json) => resources.cpu).sort()).toEqual(["1", "2", "2"]);
    expect(await answered(first, () => 1)).toMatchObject({
      phase: "Refused",
      reason: "gang-incomplete",
      message: "gang of 5: 5 of task train start together, the answer starts 3: launch all of them, or decline",
    });
    expect(await tenant.seen()).toEqual([]);
    const second = await offered();
    expect(await answered(second, (cpu) => cpu)).toMatchObject({ phase: "Accepted" });
    const pods = await tenant.podsUntil("all run", running(5));
    for (const { metadata } of pods) expect(metadata.labels["proffer.dev/offer"]).toContain(second.metadata.uid);
  });
});

describe("room that gathers for what waits long", () => {
  test("stands in the statuses of its framework and queue, until it is used", async () => {
    await site.queue("patient");
    const tenant = await builtin("patient", 4, 1, { queues: [{ name: "patient" }] });
    await tenant.task("small", { instances: 2 });
    await tenant.counts("small", { running: 2 });
    await tenant.task("large", { requests: { cpu: "4" } });
    const held = async () => {
      const [framework, queue] = await Promise.all([
        tenant.api.get(tenant.path("frameworks", "fw")),
        tenant.api.get(`${QUEUES}/patient`),
      ]);
      return [framework.status.held?.cpu, queue.status.held?.cpu];
    };
    await eventually("what is free is held for it", held, (cpus) => cpus.every((cpu) => cpu === "2"));
    expect(await site.kubectl(["get", "queue", "patient", "-o", "wide"])).toMatch(/HELD.*\n.*"cpu":"2"/);
    await tenant.patchTask("small", { kill: {} });
    await tenant.counts("large", { running: 1 });
    await eventually("nothing is held any more", held, (cpus) => cpus.every((cpu) => cpu === undefined));
  });
});

describe("a gang of 50 among 500 small tasks that come again without end", () => {
  /** What a node takes to notice an end and the API server to write it in whole seconds, and two rounds. */
  const SLACK_MS = 3_000;

  test("starts within holdAfter and the longest of them, and none of them is killed", async () => {
    await site.queue("small");
    await site.queue("large");
    const tenant = await builtin("crowd", 50, 10, { queues: [{ name: "small" }] });
    await tenant.framework({ queues: [{ name: "large" }] }, "large");
    const small = (seconds: number) => ({
      instances: 3_000,
      requests: { memory: "8Mi" },
      fake: { duration: `${seconds}s` },
    });
    // Long enough for a busy machine to start all of them before the first one ends.
    for (const seconds of [14, 15, 16, 17]) await tenant.task(`small-${seconds}`, small(seconds));
    const everyMs = 500;
    await tenant.podsUntil("the cluster is full", (pods) => pods.length >= 500, undefined, { everyMs });
    await tenant.task("train", gang(50, 50, { framework: "large", requests: { memory: "8Mi" } }));
    const { metadata } = await tenant.api.get(tenant.path("tasks", "train"));
    await tenant.podsUntil("all of it runs", running(50), "train", { everyMs });

    const seen = await tenant.seen();
    const createdMs = ({ object }: SeenPod) => Date.parse(object.metadata.creationTimestamp);
    const started = seen.filter(({ task }) => task === "train").map(createdMs);
    const ended = seen.filter(({ task, phases }) => task !== "train" && phases.at(-1) === "Succeeded");
    const before = ended.filter((pod) => createdMs(pod) <= Math.max(...started));
    const lives = before.map(({ object: { metadata, status } }) => {
      const [main] = status.containerStatuses;
      return Date.parse(main.state.terminated.finishedAt) - Date.parse(metadata.creationTimestamp);
    });
    const boundMs = HOLD_AFTER_SECONDS * 1_000 + Math.max(...lives) + SLACK_MS;
    expect(Math.max(...started) - Date.parse(metadata.creationTimestamp)).toBeLessThanOrEqual(boundMs);
    // The cluster was full all the time: it did not drain.
    expect(await tenant.peak()).toBe(500);
    const killed = seen.filter(
      ({ phases, object }) => object.metadata.deletionTimestamp && !phases.includes("Succeeded"),
    );
    expect(killed).toEqual([]);
    for (const { phases } of seen) expect(phases).not.toContain("Failed");
  });
});
