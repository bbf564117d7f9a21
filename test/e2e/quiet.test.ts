import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { Audit, countsOf, type Write } from "./support/audit.ts";
import { noFinalizers } from "./support/burst.ts";
import { eventually } from "./support/eventually.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// What the operator costs the API server: every write counted, by the API server itself. Lease and events aside.

const SINGLES = 20;
const TOGETHER = 200;
const QUIET_MS = 20_000;

let audit: Audit;
let site: Site;
beforeAll(async () => {
  audit = new Audit();
  site = await Site.open({ cluster: { apiserverArgs: audit.apiserverArgs } });
});
afterAll(async () => {
  await site?.close();
  audit?.close();
});
needs(() => site.cluster, "processes", "fakeKubelets");

async function scene(namespace: string, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, "cpu=32,memory=64Gi", 4);
  await tenant.framework(spec);
  return tenant;
}

const writesIn = (namespace: string) => audit.requests().filter((write) => write.namespace === namespace);

const refusals = (writes: readonly Write[]) => writes.filter(({ code }) => code >= 300);

/**
 * Without the tries to take a finalizer off that came too early: the kubelet wrote between what we knew of the pod and our
 * patch, which names the version so as not to undo others' finalizers. After the one that succeeds there must be none.
 */
function withoutConflicts(writes: readonly Write[]): Write[] {
  const released = new Set<string>();
  const inOrder = [...writes].sort((a, b) => a.atMs - b.atMs);
  return inOrder.filter(({ verb, resource, name, code }) => {
    if (verb !== "patch" || resource !== "pods") return true;
    if (code < 300) released.add(name);
    return code !== 409 || released.has(name);
  });
}

/** What the operator wrote of a Task's start while that took more than five seconds: only a slow machine sees it. */
async function toldOfSlowStart(tenant: Tenant, name: string): Promise<(write: Write) => boolean> {
  const { metadata, status } = await tenant.api.get(tenant.path("tasks", name));
  // Times of the API server are in whole seconds, rounded down.
  const [fromMs, toMs] = [Date.parse(metadata.creationTimestamp) + 5_000, Date.parse(status.startedAt) + 1_000];
  return ({ atMs }) => atMs >= fromMs && atMs < toMs;
}

/** Waits until it has written nothing for a while: longer than any of its own delays. */
function settled(): Promise<unknown> {
  const lastMs = () => Math.max(...audit.requests().map(({ atMs }) => atMs));
  return eventually(
    "it settles",
    () => Date.now() - lastMs(),
    (ms) => ms > 6_000,
  );
}

// First: the minute after which its offer is deleted passes during the others.
test("an offer costs its creation and one status", async () => {
  const tenant = await scene("offers", { scheduler: { type: "Offers" }, answerers: ["admin"], offers: { slack: 1 } });
  await tenant.task("work", { fake: { duration: "100ms" } });
  const open = async () => (await tenant.api.get(tenant.path("offers"))).items;
  const [offer] = await eventually("an offer", open, (offers) => offers.length === 1);
  const launches = [{ task: "work", slice: "s0", count: 1 }];
  const answer = { by: "admin", decision: "Accept", launches };
  await tenant.api.patch(tenant.path("offers", offer.metadata.name), { answer });
  await tenant.ended("work");
  await settled();
  const counts = countsOf(writesIn("offers"));
  expect(counts).toMatchObject({ "create pods": 1, "create offers": 1, "update offers/status": 1 });
});

test("a Task of one instance costs one pod, one removal of the finalizer and two statuses at most", async () => {
  const tenant = await scene("singles");
  const names = Array.from({ length: SINGLES }, (_, i) => `task-${i}`);
  // Some end before they are told to run, some run for a while.
  await Promise.all(names.map((name, i) => tenant.task(name, { fake: { duration: i % 2 === 0 ? "100ms" : "3s" } })));
  for (const name of names) expect((await tenant.ended(name)).state).toBe("Finished");
  await noFinalizers(tenant);
  await settled();
  const writes = withoutConflicts(writesIn("singles"));
  expect(refusals(writes)).toEqual([]);
  // One dry run for each of the two templates.
  expect(countsOf(writes)).toMatchObject({ "create pods": SINGLES, "patch pods": SINGLES, "dry-run create pods": 2 });
  for (const name of names) {
    const statuses = writes.filter((write) => write.resource === "tasks/status" && write.name === name);
    expect(statuses.length).toBeGreaterThanOrEqual(1);
    const slow = statuses.filter(await toldOfSlowStart(tenant, name));
    expect(slow.length).toBeLessThanOrEqual(1);
    expect(statuses.length - slow.length).toBeLessThanOrEqual(2);
  }
});

test("a Task of many instances costs a write of its status now and then, not one for each of them", async () => {
  const tenant = await scene("together");
  await tenant.task("many", { instances: TOGETHER, requests: { cpu: "500m" }, fake: { duration: "500ms" } });
  const { startedAt, finishedAt } = await tenant.ended("many");
  await noFinalizers(tenant);
  await settled();
  const writes = withoutConflicts(writesIn("together"));
  expect(refusals(writes)).toEqual([]);
  expect(countsOf(writes)).toMatchObject({ "create pods": TOGETHER, "patch pods": TOGETHER });
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000;
  // At most one a second while it runs; one before, one after, one for the whole seconds of the times.
  expect(writes.filter(({ resource }) => resource === "tasks/status").length).toBeLessThanOrEqual(seconds + 3);
});

test("when all is done, and while what is left waits, it asks for nothing at all", async () => {
  const tenant = await scene("waits");
  await tenant.task("too-large", { requests: { cpu: "1000" } });
  await tenant.task("runs", { instances: 10 });
  await tenant.framework({ suppressed: true }, "suppressed");
  await tenant.task("suppressed", { framework: "suppressed" });
  const timeoutSeconds = 600;
  const offers = { scheduler: { type: "Offers" }, answerers: ["admin"], offers: { slack: 1, timeoutSeconds } };
  await tenant.framework(offers, "idle");
  await tenant.task("offered", { framework: "idle" });
  await tenant.waits("too-large", "NoNode");
  await tenant.waits("suppressed", "Suppressed");
  await tenant.waits("offered", "WaitingForAnswer");
  // Offers that ended before are deleted a minute later.
  const ended = async () => (await tenant.api.get("/apis/proffer.dev/v1alpha1/namespaces/offers/offers")).items;
  await eventually("ended offers are gone", ended, (items) => items.length === 0);
  await settled();
  const sinceMs = Date.now();
  await eventually(
    "20 s have passed",
    () => Date.now() - sinceMs,
    (ms) => ms > QUIET_MS,
  );
  expect(countsOf(audit.requests(sinceMs))).toEqual({});
  expect(countsOf(audit.requests(sinceMs, { reads: true }))).toEqual({});
});
