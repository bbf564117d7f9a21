import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { needs, Site, skipFor } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// What happens to nodes, pods and namespaces without Proffer being asked.

const CONTROLLERS = [
  "serviceaccount-controller",
  "garbage-collector-controller",
  "namespace-controller",
  "resourcequota-controller",
];

let site: Site;
beforeAll(async () => {
  site = await Site.open({ controllers: CONTROLLERS });
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const SHAPE = "cpu=4,memory=8Gi";

async function scene(namespace: string, nodes: number, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, SHAPE, nodes);
  await tenant.framework(spec);
  return tenant;
}

const node = (name: string) => `/api/v1/nodes/${name}`;
const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

/** A pod that is none of Proffer's, bound to the node. */
function foreignPod(tenant: Tenant, name: string, nodeName: string, cpu: string): Promise<Json> {
  const container = { name: "main", image: "busybox", resources: { requests: { cpu } } };
  return tenant.api.create(tenant.podPath(), { metadata: { name }, spec: { nodeName, containers: [container] } });
}

const ANSWERER = "system:serviceaccount:nobody:nobody";
const OFFERS = { scheduler: { type: "Offers" }, answerers: [ANSWERER], offers: { slack: 1, timeoutSeconds: 600 } };

async function openOffers(tenant: Tenant): Promise<Json[]> {
  const { items } = await tenant.api.get(tenant.path("offers"));
  return items.filter(({ status }: Json) => status?.phase === "Open");
}

/** Waits until the one open offer has so many CPUs. */
async function offers(tenant: Tenant, cpu: string): Promise<Json> {
  const holds = (open: Json[]) => open.length === 1 && open[0].spec.slices[0].resources.cpu === cpu;
  return (await eventually(`an offer of ${cpu} CPUs`, () => openOffers(tenant), holds))[0];
}

const reasons = ({ lastFailures = [] }: Json) => lastFailures.map(({ reason }: Json) => reason);

describe.concurrent("a node", () => {
  test("that is not ready makes its instances unreachable after a while, and running when it is back", async (test) => {
    const why = "pods of a node that is not ready are evicted when the framework's time for that is over";
    if (site.cluster.capabilities.evictions) skipFor(test, why);
    const tenant = await scene("not-ready", 1, { unreachableSeconds: 2 });
    await tenant.task("steady", { instances: 2 });
    await tenant.counts("steady", { running: 2 });
    await site.cluster.api.patch(node("not-ready-0000"), {
      metadata: { annotations: { "fake-kubelet/not-ready": "" } },
    });
    const asOf = Date.now();
    expect(await tenant.counts("steady", { unreachable: 2 })).toMatchObject({ state: "Unreachable" });
    expect(Date.now() - asOf).toBeGreaterThanOrEqual(2_000);
    await tenant.task("later");
    expect(await tenant.waits("later", "NoNode")).toContain("not ready");
    await site.cluster.api.patch(node("not-ready-0000"), {
      metadata: { annotations: { "fake-kubelet/not-ready": null } },
    });
    expect(await tenant.counts("steady", { running: 2 })).toMatchObject({ state: "Running" });
    await tenant.podsUntil("it runs", running(1), "later");
    expect(await tenant.seen("steady")).toHaveLength(2);
  });

  test("that is deleted loses its instances; where retries are wanted, they run elsewhere once the pod is gone", async () => {
    const tenant = await scene("deleted", 1);
    const retry = { limit: 0, backoffSeconds: 1, onNodeLost: "Retry" };
    await tenant.task("again", { spec: { retry } });
    await tenant.task("never");
    await tenant.podsUntil("two run", running(2));
    const [other] = await tenant.nodes(SHAPE);
    await site.cluster.api.delete(node("deleted-0000"));
    expect(await tenant.counts("again", { unreachable: 1 })).toMatchObject({ state: "Unreachable" });
    const lost = await tenant.ended("never");
    expect(lost).toMatchObject({ state: "Lost", counts: { lost: 1 } });
    expect(reasons(lost)).toEqual(["node-lost"]);
    const isSecond = ({ metadata, spec, status }: Json) =>
      metadata.labels["proffer.dev/attempt"] === "1" && spec.nodeName === other && status.phase === "Running";
    await tenant.podsUntil("it runs again", (pods) => pods.length === 1 && pods.every(isSecond), "again");
    // Never two of them at one time.
    await site.pods.caughtUp(tenant.namespace);
    expect(site.pods.peak(({ namespace, task }) => (namespace === "deleted" && task === "again" ? 1 : 0))).toBe(1);
  });

  test("that shrinks takes offers back, keeps what runs, and takes nothing more", async () => {
    const tenant = await scene("shrinks", 1);
    await tenant.framework(OFFERS, "asks");
    await tenant.task("runs", { instances: 2 });
    await tenant.podsUntil("two run", running(2));
    await tenant.task("wanted", { framework: "asks", instances: 2 });
    const offer = await offers(tenant, "2");
    await site.cluster.api.patch(`${node("shrinks-0000")}/status`, { status: { allocatable: { cpu: "1" } } });
    const rescinded = await eventually(
      "the offer is taken back",
      () => tenant.api.get(tenant.path("offers", offer.metadata.name)),
      ({ status }) => status.phase === "Rescinded",
    );
    expect(rescinded.status.message).toContain("has less room than offered");
    expect(await tenant.waits("wanted", "NoNode")).toMatch(/over-full/);
    expect(await openOffers(tenant)).toEqual([]);
    expect(running(2)(await tenant.pods("runs"))).toBe(true);
    await site.cluster.api.patch(`${node("shrinks-0000")}/status`, { status: { allocatable: { cpu: "4" } } });
    await offers(tenant, "2");
  });

  test("that comes, or that grows, takes what waited", async () => {
    const tenant = await site.tenant("grows");
    await tenant.framework();
    await tenant.task("waits", { instances: 6 });
    expect(await tenant.waits("waits", "NoNode")).toMatch(/0 nodes|not matching/);
    await tenant.nodes(SHAPE);
    await tenant.podsUntil("four run", running(4));
    await site.cluster.api.patch(`${node("grows-0000")}/status`, { status: { allocatable: { cpu: "5" } } });
    await tenant.podsUntil("five run", running(5));
  });

  test("whose kubelet refuses a pod is left alone until it was observed anew", async () => {
    const tenant = await scene("refuses", 2);
    await tenant.task("refused", { fake: { reject: "OutOfcpu" }, spec: { retry: { limit: 0, backoffSeconds: 1 } } });
    const status = await tenant.until("refused", "two refusals", (now) => reasons(now).length === 2);
    expect(reasons(status)).toEqual(["kubelet-refused", "kubelet-refused"]);
    expect(status.lastFailures[0].message).toContain("OutOfcpu");
    const [second, first] = status.lastFailures.map((failure: Json) => failure.node);
    expect(second).not.toBe(first);
    // Both have refused it. The one that shows something new first is tried again.
    await site.cluster.api.patch(node(first), { metadata: { labels: { seen: "anew" } } });
    const third = await tenant.until("refused", "a third refusal", (now) => reasons(now).length === 3);
    expect(third.lastFailures[0].node).toBe(first);
    await tenant.patchTask("refused", { kill: {} });
    expect((await tenant.ended("refused")).state).toBe("Killed");
  });
});

describe.concurrent("pods of others", () => {
  test("take room: offers there are taken back, and what does not fit waits until they are gone", async () => {
    const tenant = await scene("foreign", 1, OFFERS);
    await tenant.task("wanted", { instances: 4 });
    const before = await offers(tenant, "4");
    await foreignPod(tenant, "foreign", "foreign-0000", "3");
    const after = await offers(tenant, "1");
    const ended = await tenant.api.get(tenant.path("offers", before.metadata.name));
    expect(ended.status).toMatchObject({ phase: "Rescinded", reason: "rescinded" });
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    await tenant.api.delete(tenant.podPath("foreign"));
    await eventually(
      "all four are offered",
      () => openOffers(tenant),
      (open) => open.reduce((sum, { spec }) => sum + Number(spec.slices[0].resources.cpu), 0) === 4,
    );
  });
});

describe.concurrent("a pod that somebody deletes", () => {
  test.each([
    { onNodeLost: "Never", state: "Lost", pods: 1 },
    { onNodeLost: "Retry", state: "Running", pods: 2 },
  ])("is lost, and with $onNodeLost the Task is $state", async ({ onNodeLost, state, pods }) => {
    const tenant = await scene(`pod-deleted-${onNodeLost.toLowerCase()}`, 1);
    await tenant.task("work", { spec: { retry: { limit: 0, backoffSeconds: 1, onNodeLost } } });
    const [pod] = await tenant.podsUntil("it runs", running(1));
    await tenant.api.delete(tenant.podPath(pod.metadata.name));
    const holds = (status: Json) => reasons(status).length > 0 && status.state === state;
    expect(reasons(await tenant.until("work", `it is ${state}`, holds))).toEqual(["pod-deleted"]);
    await eventually(
      "the pod is gone",
      () => tenant.api.find(tenant.podPath(pod.metadata.name)),
      (now) => !now,
    );
    expect(await tenant.seen()).toHaveLength(pods);
    expect(await tenant.peak()).toBe(1);
  });
});

describe.concurrent("a namespace", () => {
  test("whose LimitRange adds requests is charged what its pods really request", async () => {
    const tenant = await scene("limited", 1);
    await tenant.api.create("/api/v1/namespaces/limited/limitranges", {
      metadata: { name: "defaults" },
      spec: { limits: [{ type: "Container", defaultRequest: { cpu: "2" }, default: { cpu: "2" } }] },
    });
    await tenant.task("modest", { instances: 3, requests: { cpu: undefined } });
    const pods = await tenant.podsUntil("two run", running(2));
    expect(pods[0].spec.containers[0].resources.requests.cpu).toBe("2");
    expect(await tenant.waits("modest", "NoNode")).toMatch(/insufficient cpu \(needs 2, largest free 0\)/);
    await eventually(
      "the framework shows it",
      () => tenant.api.get(tenant.path("frameworks", "fw")),
      ({ status }) => status?.allocated?.cpu === "4" && status.demand?.cpu === "2",
    );
  });

  test("whose quota is spent has Tasks that say so in the API server's words", async () => {
    const tenant = await scene("quota", 1);
    await tenant.api.create("/api/v1/namespaces/quota/resourcequotas", {
      metadata: { name: "few" },
      spec: { hard: { pods: "2" } },
    });
    await eventually(
      "the quota is in force",
      () => tenant.api.get("/api/v1/namespaces/quota/resourcequotas/few"),
      ({ status }) => status?.hard?.pods === "2",
    );
    await tenant.task("many", { instances: 3, spec: { retry: { backoffSeconds: 1, maxBackoffSeconds: 2 } } });
    expect(await tenant.waits("many", "QuotaExceeded")).toContain("exceeded quota: few");
    await tenant.podsUntil("two run", running(2));
    // Of another template: the dry run is refused already.
    await tenant.task("more", { requests: { cpu: "500m" } });
    const refused = await tenant.until("more", "it is refused", ({ conditions = [] }) =>
      conditions.some(({ reason }: Json) => reason === "TemplateRefused"),
    );
    expect(refused.why).toContain("exceeded quota");
    await tenant.api.patch("/api/v1/namespaces/quota/resourcequotas/few", { spec: { hard: { pods: "3" } } });
    await tenant.podsUntil("three run", running(3), "many");
    const { counts, lastFailures } = await tenant.until("many", "it does not wait", (now) => now.counts?.pending === 0);
    expect({ failed: counts.failed, lastFailures }).toEqual({ failed: 0, lastFailures: undefined });
  });

  test("that is deleted ends all that runs there, and its room is free", async () => {
    const tenant = await scene("doomed", 1);
    await tenant.task("runs", { instances: 4 });
    await tenant.task("ends", { fake: { duration: "100ms" }, requests: { cpu: "0" } });
    await tenant.podsUntil("four run", running(4), "runs");
    await tenant.ended("ends");
    await tenant.api.delete("/api/v1/namespaces/doomed");
    await eventually(
      "it is gone",
      () => tenant.api.find("/api/v1/namespaces/doomed"),
      (now) => now === undefined,
    );
    const heir = await site.tenant("heir");
    await heir.framework();
    const constraints = { nodeSelector: { "test/pool": "doomed" } };
    await heir.task("runs", { instances: 4, spec: { constraints } });
    await heir.podsUntil("four run", running(4));
  });
});
