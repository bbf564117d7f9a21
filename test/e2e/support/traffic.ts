/** A site in which everything happens that metrics count: for dashboards, none of whose panels may then be empty. */
import type { Json } from "../../../tools/cluster/api-client.ts";
import { eventually } from "./eventually.ts";
import { Person } from "./person.ts";
import type { Site } from "./site.ts";
import type { Tenant } from "./tenant.ts";

/** What is answered to the offers of the framework of that name; undefined: nothing. */
const ANSWERS: Readonly<Record<string, Json>> = {
  accepts: { decision: "Accept", launches: [{ task: "for-accepts", slice: "s0", count: 1 }] },
  declines: { decision: "Decline", filter: { refuseSeconds: 600 }, reason: "not now" },
  refused: { decision: "Accept", launches: [{ task: "of-nobody", slice: "s0", count: 1 }] },
};

/**
 * Makes queues, frameworks, tasks and foreign pods. Offers are accepted, declined, refused, rescinded, and expire; tasks run,
 * wait, finish and fail; a program goes away. Returns when all of that has happened once; a stream of short tasks and of offers that expire goes on.
 */
export async function makeTraffic(site: Site): Promise<void> {
  await site.queue("traffic", { weight: 3 });
  await site.queue("short", { parent: "traffic" });
  await site.queue("long", { parent: "traffic" });
  const tenant = await site.tenant("traffic", "cpu=16,memory=64Gi,gpu=4", 3);
  await Promise.all([stream(tenant), lasting(site, tenant), answered(site, tenant), unanswered(tenant), away(tenant)]);
}

/** Instances that start and end, a few at a time, for longer than the tests need. */
async function stream(tenant: Tenant): Promise<void> {
  await tenant.framework({ queues: [{ name: "short" }] }, "stream");
  const spec = { parallelism: 4, retry: { limit: 0, backoffSeconds: 1 } };
  await tenant.task("stream", { framework: "stream", instances: 5_000, fake: { duration: "500ms" }, spec });
  await tenant.task("fails", { framework: "stream", instances: 2, fake: { "exit-code": "3" }, spec });
  await tenant.ended("fails");
}

/** What runs for ever, what never fits, and a pod that is none of Proffer's. */
async function lasting(site: Site, tenant: Tenant): Promise<void> {
  await tenant.framework({ queues: [{ name: "long" }] }, "long");
  await tenant.task("runs", { framework: "long", instances: 3, requests: { cpu: "2", "nvidia.com/gpu": "1" } });
  await tenant.task("giant", { framework: "long", requests: { cpu: "100", "nvidia.com/gpu": "40" } });
  const container = { name: "main", image: "busybox", resources: { requests: { cpu: "1", memory: "1Gi" } } };
  await site.cluster.api.create(tenant.podPath(), {
    metadata: { name: "foreign" },
    spec: { nodeName: `${tenant.namespace}-0000`, containers: [container] },
  });
  await tenant.counts("runs", { running: 3 });
}

/** A framework for each kind of answer, and one whose offer is taken back. */
async function answered(site: Site, tenant: Tenant): Promise<void> {
  const app = await Person.in(site.cluster, tenant.namespace, "app");
  const names = [...Object.keys(ANSWERS), "rescinded"];
  for (const name of names) await asking(tenant, name, { answerers: [app.user], timeoutSeconds: 600 });
  const offers = await eventually("each has an offer", () => openOffers(tenant), isOpenFor(names));
  for (const { metadata, spec } of offers) {
    const answer = ANSWERS[spec.framework];
    if (answer !== undefined) await app.patch("offer", metadata.name, { answer: { by: app.user, ...answer } });
    if (spec.framework === "rescinded") await tenant.api.delete(tenant.path("offers", metadata.name));
  }
  const ends = { accepts: "accepted", declines: "declined", refused: "refused", rescinded: "rescinded" };
  for (const [name, end] of Object.entries(ends)) await endedOnce(tenant, name, end);
}

/** Nobody answers: one of them lets its offers expire again and again, the other holds one open. */
async function unanswered(tenant: Tenant): Promise<void> {
  const answerers = ["system:serviceaccount:nobody:nobody"];
  await asking(tenant, "silent", { answerers, timeoutSeconds: 1 });
  await asking(tenant, "holds", { answerers, timeoutSeconds: 3_600 });
  await eventually("one stays open", () => openOffers(tenant), isOpenFor(["holds"]));
  await endedOnce(tenant, "silent", "expired");
}

/** A framework whose program has given its Lease back. */
async function away(tenant: Tenant): Promise<void> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${tenant.namespace}/leases`;
  await tenant.framework({ scheduler: { type: "Offers" }, answerers: ["system:serviceaccount:nobody:nobody"] }, "away");
  await tenant.api.create(path, {
    metadata: { name: "away", labels: { "proffer.dev/framework": "away" } },
    spec: { holderIdentity: "", leaseDurationSeconds: 1, renewTime: new Date().toISOString().replace("Z", "000Z") },
  });
  const disconnected = ({ status }: Json) => status?.conditions?.some(({ reason }: Json) => reason === "Disconnected");
  await eventually("it is missed", () => tenant.api.get(tenant.path("frameworks", "away")), disconnected);
}

interface Asking {
  readonly answerers: readonly string[];
  readonly timeoutSeconds: number;
}

/** An Offers framework with one task that waits. */
async function asking(tenant: Tenant, name: string, { answerers, timeoutSeconds }: Asking): Promise<void> {
  const offers = { slack: 1, timeoutSeconds };
  await tenant.framework({ queues: [{ name: "long" }], scheduler: { type: "Offers" }, answerers, offers }, name);
  await tenant.task(`for-${name}`, { framework: name });
}

async function openOffers(tenant: Tenant): Promise<Json[]> {
  const { items } = await tenant.api.get(tenant.path("offers"));
  return items.filter(({ status }: Json) => status?.phase === "Open");
}

const isOpenFor = (names: readonly string[]) => (offers: readonly Json[]) =>
  names.every((name) => offers.some(({ spec }) => spec.framework === name));

/** Waits until the framework's status counts such an end. */
async function endedOnce(tenant: Tenant, name: string, end: string): Promise<void> {
  await eventually(
    `an offer of ${name} is ${end}`,
    () => tenant.api.get(tenant.path("frameworks", name)),
    ({ status }) => status?.offers?.[end] > 0,
  );
}
