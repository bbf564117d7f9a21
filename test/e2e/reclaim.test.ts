import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { becomes } from "./support/leadership.ts";
import { Person } from "./support/person.ts";
import type { SeenPod } from "./support/pod-watch.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// A queue is guaranteed half of a node, and another has borrowed all of it. Each test has a resource, a node, queues and a
// namespace of its own.

let site: Site;
beforeAll(async () => {
  site = await Site.open({ controllers: ["serviceaccount-controller", "garbage-collector-controller"] });
  await becomes(site.operator, "leader");
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const GRACE_SECONDS = 10;

interface Scene {
  readonly tenant: Tenant;
  readonly app: Person;
  /** What an instance asks for. */
  readonly requests: (count: number) => Record<string, string>;
}

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

/** `borrower` runs four instances on a node for four; `owner` is guaranteed two and wants them for one instance. */
async function scene(name: string, scheduler: "Builtin" | "Offers", graceSeconds = GRACE_SECONDS): Promise<Scene> {
  const resource = `test.proffer/${name}`;
  const requests = (count: number) => ({ cpu: "10m", [resource]: String(count) });
  const tenant = await site.tenant(name);
  const app = await Person.in(site.cluster, name, "app");
  await site.queue(`${name}-owner`, { guarantee: { [resource]: "2" } });
  await site.queue(`${name}-borrower`, { reclaim: { graceSeconds } });
  await tenant.framework({ queues: [{ name: `${name}-owner` }] }, "owner");
  const queues = [{ name: `${name}-borrower` }];
  const spec = { queues, scheduler: { type: scheduler }, answerers: [app.user] };
  await tenant.framework(scheduler === "Offers" ? { ...spec, offers: { slack: 1 } } : spec, "borrower");
  await tenant.task("borrowed", { framework: "borrower", instances: 4, requests: requests(1) });
  await tenant.nodes(`cpu=4,memory=8Gi,${resource}=4`);
  const stage = { tenant, app, requests };
  if (scheduler === "Offers") await takeAll(stage);
  await tenant.podsUntil("the node is full", running(4), "borrowed");
  await tenant.task("due", { framework: "owner", requests: requests(2) });
  return stage;
}

/** The borrower accepts what it is offered. */
async function takeAll({ app, tenant }: Scene): Promise<void> {
  const open = async () => (await offers(tenant)).filter(({ status }) => status?.phase === "Open");
  const [offer] = await eventually("an offer", open, (offers) => offers.length > 0);
  const launches = [{ task: "borrowed", slice: offer.spec.slices[0].name, count: 4 }];
  const answer = { by: app.user, decision: "Accept", launches, filter: { refuseSeconds: 0 } };
  expect(await app.patch("offer", offer.metadata.name, { answer })).toMatchObject({ code: 0 });
}

const offers = async (tenant: Tenant): Promise<Json[]> => (await tenant.api.get(tenant.path("offers"))).items;

/** The inverse offer of the namespace, once there is one. */
async function asked({ tenant }: Scene): Promise<Json> {
  const open = async () => (await offers(tenant)).filter(({ spec }) => spec.inverse !== undefined);
  const [offer] = await eventually("an inverse offer", open, (offers) => offers.length > 0);
  return offer;
}

async function end({ tenant }: Scene, offer: Json): Promise<Json> {
  const read = () => tenant.api.get(tenant.path("offers", offer.metadata.name));
  return (await eventually("the inverse offer ends", read, (now) => now.status.phase !== "Open")).status;
}

/** When somebody asked for the end of a pod. */
function deletedAtMs({ object: { metadata } }: SeenPod): number {
  return Date.parse(metadata.deletionTimestamp) - 1_000 * (metadata.deletionGracePeriodSeconds ?? 0);
}

/** Pods that were ended for the owner, each marked so. */
async function taken({ tenant }: Scene): Promise<SeenPod[]> {
  const seen = await tenant.seen("borrowed");
  return seen.filter(({ object }) => object.metadata.annotations?.["proffer.dev/reclaimed-for"] !== undefined);
}

/** The owner has its two, and no attempt of the borrower's counts as a failure. */
async function givenBack(stage: Scene, instances: number): Promise<void> {
  const { tenant } = stage;
  await tenant.podsUntil("what is due runs", running(1), "due");
  const status = await tenant.until("borrowed", "to wait for room again", ({ counts, attempts }) => {
    return counts?.pending === instances && counts?.running === 4 - instances && (attempts ?? []).length > 0;
  });
  expect(status).toMatchObject({ state: "Running", lastFailures: [{ reason: "reclaimed" }, {}] });
  expect(status.failedIndexes).toBeUndefined();
  expect(await taken(stage)).toHaveLength(instances);
}

describe.concurrent("an inverse offer", () => {
  test("that is accepted ends what its framework has chosen, at once", async () => {
    const stage = await scene("back-accept", "Offers", 600);
    const { app, tenant } = stage;
    const offer = await asked(stage);
    expect(offer.spec).toMatchObject({
      framework: "borrower",
      queue: "back-accept-borrower",
      inverse: {
        queue: "back-accept-owner",
        reason: "Guarantee",
        each: { "test.proffer/back-accept": "2" },
        instances: 1,
      },
    });
    expect(await tenant.waits("due", "AskedBack")).toContain("kept for it by back-accept/borrower");
    const answer = { by: app.user, decision: "Accept", release: [{ task: "borrowed", indexes: "0,2" }] };
    expect(await app.patch("offer", offer.metadata.name, { answer })).toMatchObject({ code: 0 });
    expect(await end(stage, offer)).toMatchObject({
      phase: "Accepted",
      released: [{ task: "borrowed", indexes: "0,2" }],
    });
    await givenBack(stage, 2);
    expect((await taken(stage)).map(({ index }) => index).sort()).toEqual([0, 2]);
  });

  test("cannot be accepted by launching something, nor for nothing", async () => {
    const stage = await scene("back-wrong", "Offers", 600);
    const { app } = stage;
    const offer = await asked(stage);
    const name = offer.metadata.name;
    const launches = [{ task: "borrowed", slice: "s0", count: 1 }];
    const answers = [
      { answer: { decision: "Accept", launches }, complaint: "answer.release" },
      { answer: { decision: "Accept" }, complaint: "Accept needs launches, or release" },
      {
        answer: { decision: "Decline", release: [{ task: "borrowed", indexes: "0" }] },
        complaint: "gives nothing back",
      },
    ];
    for (const { answer, complaint } of answers) {
      const said = await app.patch("offer", name, { answer: { by: app.user, ...answer } });
      expect(said).toMatchObject({ code: 1, complaint: expect.stringContaining(complaint) });
    }
    expect(await app.kubectl("get", "offer", name)).toMatch(/back-wrong-owner/);
  });

  test.each([
    { name: "declined", phase: "Declined" },
    { name: "ignored", phase: "Expired" },
  ])("that is $name ends in the operator's choice when its time is over, and not before", async ({ name, phase }) => {
    const stage = await scene(`back-${name}`, "Offers");
    const { app } = stage;
    const offer = await asked(stage);
    const answer = { by: app.user, decision: "Decline", reason: "not mine to give" };
    if (name === "declined")
      expect(await app.patch("offer", offer.metadata.name, { answer })).toMatchObject({ code: 0 });
    expect(await end(stage, offer)).toMatchObject({ phase, released: [{ task: "borrowed" }] });
    await givenBack(stage, 2);
    // The API server tells times in whole seconds, and rounds down.
    const dueMs = Date.parse(offer.spec.expiresAt);
    for (const pod of await taken(stage)) expect(deletedAtMs(pod)).toBeGreaterThan(dueMs - 1_000);
  });

  test("to a framework without a program tells its tenant, and its victims run again when there is room", async () => {
    const stage = await scene("back-builtin", "Builtin");
    const { tenant } = stage;
    const offer = await asked(stage);
    expect(offer.spec.inverse.candidates).toMatchObject([{ task: "borrowed" }]);
    const events = () => site.kubectl(["-n", "back-builtin", "get", "events", "-o", "jsonpath={.items[*].reason}"]);
    await eventually("its framework is told", events, (reasons) => reasons.includes("AskedBack"));
    expect(await end(stage, offer)).toMatchObject({ phase: "Expired" });
    await givenBack(stage, 2);
    await tenant.patchTask("due", { kill: {} });
    await tenant.podsUntil("all run again", running(4), "borrowed");
    const again = (await tenant.seen("borrowed")).filter(({ attempt }) => attempt === 1);
    expect(again.map(({ index }) => index).sort()).toEqual((await taken(stage)).map(({ index }) => index).sort());
  });
});

test("a deadline stands, though the operator that set it is gone", async () => {
  const stage = await scene("back-outlives", "Builtin", 25);
  const offer = await asked(stage);
  await site.operator.kill();
  await site.startOperator();
  await becomes(site.operator, "leader");
  expect(await end(stage, offer)).toMatchObject({ phase: "Expired", released: [{ task: "borrowed" }] });
  await givenBack(stage, 2);
  expect((await offers(stage.tenant)).filter(({ spec }) => spec.inverse !== undefined)).toHaveLength(1);
  const dueMs = Date.parse(offer.spec.expiresAt);
  for (const pod of await taken(stage)) expect(deletedAtMs(pod)).toBeGreaterThan(dueMs - 1_000);
});
