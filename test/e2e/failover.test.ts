import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { type BagWishes, startBag } from "./support/bag.ts";
import { madeAtLeast, ranExactlyOnce } from "./support/burst.ts";
import { eventually } from "./support/eventually.ts";
import { becomes } from "./support/leadership.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import { object, type Tenant } from "./support/tenant.ts";

// Programs of frameworks die and come back, or do not. They have the rights of the role `proffer-framework` and no others.

let site: Site;
beforeAll(async () => {
  site = await Site.open();
  await becomes(site.operator, "leader");
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets", "processes");

const CPU = { cpu: "1", memory: "64Mi" };

async function scene(namespace: string): Promise<{ tenant: Tenant; app: Person }> {
  const tenant = await site.tenant(namespace, "cpu=4,memory=8Gi", 2);
  return { tenant, app: await Person.in(site.cluster, namespace, "bag", "proffer-framework") };
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
  const { tenant, app } = await scene("stays-away");
  const spec = {
    queues: [{ name: "default" }],
    scheduler: { type: "Offers" },
    answerers: [app.user],
    suppressed: true,
  };
  const failover = { failoverTimeoutSeconds: 15, failoverPolicy: "Kill" };
  await tenant.api.create(tenant.path("frameworks"), object("Framework", "bag", { ...spec, ...failover }));
  const bag = startBag(site.cluster, app, "bag", wishesFor("stays-away", 12, "1h"));
  await tenant.counts("many", { running: 8 });
  await bag.kill();
  const killedAtMs = Date.now();
  await connection(tenant, "bag", "Disconnected");
  await site.operator.kill();
  await site.startOperator();
  expect(await tenant.status("many")).toMatchObject({ counts: { running: 8, pending: 4 } });
  const status = await tenant.ended("many");
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
  await tenant.counts("many", { running: 8 });
  await connection(tenant, "bag", "Connected");
  await bag.stop();
  expect(await connection(tenant, "bag", "Disconnected")).toMatch(/was given back/);
  expect(await tenant.status("many")).toMatchObject({ counts: { running: 8 } });
});

test("the built-in role `edit` may renew Leases as well", async () => {
  const { tenant } = await scene("edits");
  const editor = await Person.in(site.cluster, tenant.namespace, "editor", "edit");
  expect((await editor.try("auth", "can-i", "create", "leases.coordination.k8s.io")).code).toBe(0);
});
