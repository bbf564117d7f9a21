import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { type BagWishes, startBag } from "./support/bag.ts";
import { madeAtLeast, ranExactlyOnce } from "./support/burst.ts";
import { eventually } from "./support/eventually.ts";
import { becomes } from "./support/leadership.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// Programs of frameworks die and come back, or do not. They have the rights of the role `proffer-framework` and no others.

let site: Site;
beforeAll(async () => {
  site = await Site.open();
  await becomes(site.operator, "leader");
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets", "processes");

const CPU = { cpu: "1", memory: "64Mi" };

/** A Framework that somebody has declared, and the account of its program. */
async function scene(namespace: string, failover: Json = {}): Promise<{ tenant: Tenant; app: Person }> {
  const tenant = await site.tenant(namespace, "cpu=4,memory=8Gi", 2);
  const app = await Person.in(site.cluster, namespace, "bag", "proffer-framework");
  const spec = {
    queues: [{ name: "default" }],
    scheduler: { type: "Offers" },
    answerers: [app.user],
    suppressed: true,
  };
  await tenant.framework({ ...spec, ...failover }, "bag");
  return { tenant, app };
}

const wishesFor = (namespace: string, instances: number, duration: string): BagWishes => ({
  namespace,
  lines: [{ name: "many", instances, resources: CPU }],
  duration,
  leaseSeconds: 3,
});

/** Waits until the framework's condition `Connected` has this reason; returns its message. */
async function connection(tenant: Tenant, framework: string, reason: string): Promise<string> {
  const read = async () => (await tenant.api.get(tenant.path("frameworks", framework))).status ?? {};
  const find = ({ conditions = [] }: Json) => conditions.find(({ type }: Json) => type === "Connected");
  const status = await eventually(`${framework} is ${reason}`, read, (found) => find(found)?.reason === reason);
  return find(status).message;
}

const leases = (namespace: string, name = "") =>
  `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases${name && `/${name}`}`;

test.concurrent("a program that is killed and comes back finds its tasks and goes on: each runs once", async () => {
  const { tenant, app } = await scene("returns");
  const wishes = wishesFor("returns", 24, "6s");
  const first = startBag(site.cluster, app, "bag", wishes);
  await madeAtLeast(site.pods, tenant, 8);
  await connection(tenant, "bag", "Connected");
  await first.kill();
  expect(await connection(tenant, "bag", "Disconnected")).toMatch(/ran out at .*; its tasks are kept until/);
  const made = (await tenant.seen()).length;
  const { code, said } = await startBag(site.cluster, app, "bag", wishes).ended;
  expect({ code, said }).toMatchObject({ code: 0 });
  expect(made).toBeGreaterThanOrEqual(8);
  await ranExactlyOnce(site.pods, tenant, 24);
  expect(await connection(tenant, "bag", "Disconnected")).toMatch(/was given back at/);
});

test.concurrent("while a program is away, what it was offered goes to others", async () => {
  const tenant = await site.tenant("yields", "cpu=4,memory=8Gi", 1);
  await tenant.framework(
    { scheduler: { type: "Offers" }, answerers: ["me"], offers: { timeoutSeconds: 3600 } },
    "held",
  );
  await tenant.framework();
  await tenant.task("wanted", { framework: "held", instances: 4 });
  const open = async () => (await tenant.api.get(tenant.path("offers"))).items;
  await eventually("an offer", open, (offers) => offers.length > 0);
  await tenant.task("waits", { instances: 4, fake: { duration: "100ms" } });
  const renewTime = new Date(Date.now() - 10_000).toISOString().replace("Z", "000Z");
  await tenant.api.create(leases("yields"), {
    metadata: { name: "by-hand", labels: { "proffer.dev/framework": "held" } },
    spec: { holderIdentity: "me", leaseDurationSeconds: 2, renewTime },
  });
  expect((await tenant.ended("waits")).state).toBe("Finished");
  const [first] = await open();
  expect(first.status).toMatchObject({ phase: "Rescinded", reason: "disconnected" });
  await tenant.waits("wanted", "Disconnected");
  // Whose Lease is gone is nobody to be missed.
  await tenant.api.delete(leases("yields", "by-hand"));
  await eventually("another offer", open, (offers) => offers.some(({ status }: Json) => status?.phase === "Open"));
});

test("a program that stays away loses its tasks where the policy is Kill, also under another leader", async () => {
  const failover = { failoverTimeoutSeconds: 15, failoverPolicy: "Kill" };
  const { tenant, app } = await scene("stays-away", failover);
  const bag = startBag(site.cluster, app, "bag", wishesFor("stays-away", 12, "1h"));
  await tenant.counts("bag-many", { running: 8 });
  await bag.kill();
  const killedAtMs = Date.now();
  await connection(tenant, "bag", "Disconnected");
  await site.operator.kill();
  await site.startOperator();
  expect(await tenant.status("bag-many")).toMatchObject({ counts: { running: 8, pending: 4 } });
  const status = await tenant.ended("bag-many");
  const ms = Date.now() - killedAtMs;
  console.log(`from the program's death to the end of its tasks: ${(ms / 1_000).toFixed(1)} s`);
  expect(ms).toBeGreaterThan(15_000);
  expect(status).toMatchObject({ state: "Killed", counts: { killed: 12 }, failedIndexes: "0-11" });
  expect(new Set(status.lastFailures.map(({ reason }: Json) => reason))).toEqual(new Set(["framework-lost"]));
  await connection(tenant, "bag", "FailoverTimeout");
});

test("a program that ends in order gives its Lease back, and nobody waits for it to run out", async () => {
  const { tenant, app } = await scene("ends");
  const bag = startBag(site.cluster, app, "bag", { ...wishesFor("ends", 8, "1h"), leaseSeconds: 600 });
  await tenant.counts("bag-many", { running: 8 });
  await connection(tenant, "bag", "Connected");
  await bag.stop();
  expect(await connection(tenant, "bag", "Disconnected")).toMatch(/was given back/);
  expect(await tenant.status("bag-many")).toMatchObject({ counts: { running: 8 } });
});

test("the built-in role `edit` may renew Leases as well", async () => {
  const role = await site.cluster.api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregate-to-edit");
  const rule = role.rules.find(({ resources }: Json) => resources.includes("leases"));
  expect(rule.verbs).toEqual(expect.arrayContaining(["create", "patch"]));
});

describe("a program that Proffer starts", () => {
  const template = (annotations: Json) => ({
    metadata: { annotations },
    spec: {
      containers: [{ name: "main", image: "program", resources: { requests: { cpu: "100m", memory: "64Mi" } } }],
    },
  });

  /** No scheduler runs here: whoever wants the pod to run binds it. */
  async function bind(tenant: Tenant, name: string, node: string): Promise<void> {
    const target = { apiVersion: "v1", kind: "Node", name: node };
    await tenant.api.create(tenant.podPath(`${name}/binding`), { metadata: { name }, target });
  }

  const programs = async (tenant: Tenant) =>
    (await tenant.api.get(`${tenant.podPath()}?labelSelector=proffer.dev/controller-of`)).items as Json[];
  const controllerOf = async (tenant: Tenant) =>
    (await tenant.api.get(tenant.path("frameworks", "own"))).status?.controller ?? {};

  test("runs with its account's token, and again after it has failed; offers are made while it runs", async () => {
    const tenant = await site.tenant("own-program", "cpu=4,memory=8Gi", 1);
    const { user } = await Person.in(site.cluster, tenant.namespace, "app", "proffer-framework");
    const controller = {
      serviceAccountName: "app",
      template: template({ "fake-kubelet/duration": "5s", "fake-kubelet/exit-code": "3" }),
    };
    const made = await tenant.framework({ scheduler: { type: "Offers", controller } }, "own");
    await tenant.task("work", { framework: "own", fake: { duration: "100ms" } });
    const refused = await eventually(
      "it is refused",
      () => controllerOf(tenant),
      ({ state }) => state === "Refused",
    );
    expect(refused.lastFailure).toMatch(/is not for this framework: give it the label/);
    expect(await programs(tenant)).toEqual([]);
    const account = `/api/v1/namespaces/own-program/serviceaccounts/app`;
    await tenant.api.patch(account, { metadata: { labels: { "proffer.dev/framework": "own" } } });
    const [first] = await eventually(
      "a pod",
      () => programs(tenant),
      (pods) => pods.length === 1,
    );
    expect(first.metadata.ownerReferences).toMatchObject([{ kind: "Framework", name: "own", uid: made.metadata.uid }]);
    expect(first.spec).toMatchObject({ serviceAccountName: "app", automountServiceAccountToken: true });
    await tenant.waits("work", "Disconnected");
    const [node] = await tenant.nodes("cpu=4,memory=8Gi");
    await bind(tenant, first.metadata.name, node!);
    const open = async () => (await tenant.api.get(tenant.path("offers"))).items as Json[];
    const offers = await eventually("an offer", open, (found) => found.length > 0);
    expect(offers[0]!.spec.answerers).toEqual([user]);
    await eventually(
      "it fails",
      () => controllerOf(tenant),
      ({ state }) => state === "BackOff",
    );
    await eventually("its offers are taken back", open, (found) =>
      found.every(({ status }) => status?.reason === "disconnected"),
    );
    const [second] = await eventually(
      "another pod",
      () => programs(tenant),
      ([pod]) => pod?.metadata.uid !== first.metadata.uid && pod !== undefined,
    );
    expect(second.metadata.name).toBe(first.metadata.name);
    expect(await controllerOf(tenant)).toMatchObject({ lastFailure: expect.stringMatching(/exit code 3/) });
    await bind(tenant, second.metadata.name, node!);
    await eventually(
      "it runs",
      () => controllerOf(tenant),
      ({ state, restarts }) => state === "Running" && restarts === 1,
    );
    await tenant.api.delete(tenant.path("frameworks", "own"));
    await eventually(
      "its pod goes with it",
      () => programs(tenant),
      (pods) => pods.length === 0,
    );
  });
});
