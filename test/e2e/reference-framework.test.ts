import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { type BagWishes, startBag } from "./support/bag.ts";
import { madeAtLeast, neverTooFull, ranExactlyOnce } from "./support/burst.ts";
import { becomes } from "./support/leadership.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// The reference framework, a program of its own with a tenant's rights, runs bags of tasks through offers.

let site: Site;
beforeAll(async () => {
  site = await Site.open({ args: ["--metrics-auth", "false"] });
  await becomes(site.operator, "leader");
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets", "processes");

const CPU = { cpu: "1", memory: "64Mi" };
/** 40 instances of one Task and five Tasks of one. */
const LINES = [
  { name: "many", instances: 40, resources: CPU },
  ...Array.from({ length: 5 }, (_, i) => ({ name: `one-${i}`, resources: CPU, priority: i })),
];
const INSTANCES = 45;

async function scene(namespace: string): Promise<{ tenant: Tenant; app: Person; wishes: BagWishes }> {
  const tenant = await site.tenant(namespace, "cpu=4,memory=8Gi", 3);
  const app = await Person.in(site.cluster, namespace, "bag");
  return { tenant, app, wishes: { namespace, lines: LINES, duration: "500ms" } };
}

/** A counter of the operator, summed over its labels. */
async function counter(name: string): Promise<number> {
  const text = await (await fetch(`${site.operator.url}/metrics`)).text();
  const values = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

test.concurrent("a bag runs to its end by exclusive offers", async () => {
  const { tenant, app, wishes } = await scene("exclusive");
  const { code, said } = await startBag(site.cluster, app, "bag", wishes).ended;
  expect({ code, said }).toMatchObject({ code: 0, said: expect.stringMatching(/\{"Finished":6\}\s*$/) });
  await ranExactlyOnce(site.pods, tenant, INSTANCES);
  // Nothing is left to do, so it wants no offers.
  expect((await tenant.api.get(tenant.path("frameworks", "bag"))).spec.suppressed).toBe(true);
  // It was offered all three nodes and used them.
  expect(new Set((await tenant.seen()).map(({ node }) => node)).size).toBe(3);
});

test.concurrent("a bag survives the death of its framework's program", async () => {
  const { tenant, app, wishes } = await scene("dies");
  const first = startBag(site.cluster, app, "bag", wishes);
  await madeAtLeast(site.pods, tenant, 10);
  await first.kill();
  const { code, said } = await startBag(site.cluster, app, "bag", wishes).ended;
  expect({ code, said }).toMatchObject({ code: 0 });
  await ranExactlyOnce(site.pods, tenant, INSTANCES);
});

test("two bags that race for the same nodes by optimistic offers never fill one past its size", async () => {
  const { tenant, app, wishes } = await scene("races");
  const before = await counter("proffer_lost_races_total");
  const bags = ["left", "right"].map((name) => startBag(site.cluster, app, name, { ...wishes, optimistic: true }));
  let lost = 0;
  for (const { ended } of bags) expect(await ended).toMatchObject({ code: 0 });
  await ranExactlyOnce(site.pods, tenant, 2 * INSTANCES);
  const { items } = await tenant.api.get(tenant.path("offers"));
  for (const { status } of items) {
    lost += (status?.launches ?? []).filter(({ refused }: Json) => refused?.reason === "lost-race").length;
  }
  const counted = (await counter("proffer_lost_races_total")) - before;
  console.log(`lost races: ${counted} counted, ${lost} in offers that are still there`);
  expect(counted).toBeGreaterThan(0);
  expect(counted).toBeGreaterThanOrEqual(lost);
});

test("a bag goes on by itself when the operator dies and another takes its place", async () => {
  const { tenant, app, wishes } = await scene("outlives");
  const bag = startBag(site.cluster, app, "bag", wishes);
  await madeAtLeast(site.pods, tenant, 10);
  await site.operator.kill();
  await site.startOperator();
  expect(bag.running()).toBe(true);
  expect(await bag.ended).toMatchObject({ code: 0 });
  await ranExactlyOnce(site.pods, tenant, INSTANCES);
  await neverTooFull(site.pods, tenant);
});
