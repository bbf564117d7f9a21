import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { eventually } from "./support/eventually.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// An Offers framework played with nothing but kubectl, by a ServiceAccount with the chart's editor role: whatever language a
// framework is written in, these are the requests that it makes. Only the waiting is done without: a kubectl every 50 ms would
// take half of the machine.

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const TIMEOUT_SECONDS = 120;

interface Scene {
  readonly tenant: Tenant;
  readonly app: Person;
}

/** A namespace with nodes, the person who answers its offers, and its framework `fw`. */
async function scene(namespace: string, nodes: number, spec: Json = {}): Promise<Scene> {
  const tenant = await site.tenant(namespace, "cpu=4,memory=8Gi", nodes);
  const app = await Person.in(site.cluster, namespace, "app");
  const { offers = {}, ...rest } = spec;
  const framework = {
    scheduler: { type: "Offers" },
    answerers: [app.user],
    offers: { timeoutSeconds: TIMEOUT_SECONDS, slack: 1, ...offers },
    ...rest,
  };
  const said = await app.apply({
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Framework",
    metadata: { name: "fw", namespace },
    spec: framework,
  });
  expect(said).toMatchObject({ code: 0, out: expect.stringContaining("created") });
  return { tenant, app };
}

const isOpen = ({ status }: Json) => status?.phase === "Open";

/** The one open offer of the namespace, once there is one. */
async function offered({ app, tenant }: Scene, known: readonly Json[] = []): Promise<Json> {
  const old = new Set(known.map(({ metadata }) => metadata.uid));
  const isNew = (offer: Json) => isOpen(offer) && !old.has(offer.metadata.uid);
  const open = async () => (await tenant.api.get(tenant.path("offers"))).items.filter(isNew);
  const [first] = await eventually("an offer", open, (offers) => offers.length > 0);
  // As kubectl shows it; with a short time-out it may be over by then.
  return (await app.list("offers")).find(({ metadata }) => metadata.uid === first!.metadata.uid)!;
}

/** When the operator made an offer: the API server's own time is in whole seconds. */
const madeAtMs = ({ spec }: Json, timeoutSeconds = TIMEOUT_SECONDS) =>
  Date.parse(spec.expiresAt) - timeoutSeconds * 1_000;

const accept = (app: Person, ...launches: readonly Json[]) => ({
  answer: { by: app.user, decision: "Accept", launches, filter: { refuseSeconds: 0 } },
});
const decline = (app: Person, refuseSeconds: number) => ({
  answer: { by: app.user, decision: "Decline", filter: { refuseSeconds }, reason: "not now" },
});

/** Waits for the end of the offer; returns its status. */
async function end({ app, tenant }: Scene, offer: Json): Promise<Json> {
  const { name } = offer.metadata;
  const read = () => tenant.api.get(tenant.path("offers", name));
  await eventually("the offer ends", read, (now) => now.status.phase !== "Open");
  return (await app.get("offer", name)).status;
}

const running = (count: number) => (pods: Json[]) =>
  pods.length === count && pods.every(({ status }) => status.phase === "Running");

describe.concurrent("an offer", () => {
  test("is seen, accepted and carried out, all of it in plain sight", async () => {
    const stage = await scene("accepts", 2);
    const { app, tenant } = stage;
    const watch = app.watch("offers");
    const work = tenant.taskObject("work", { instances: 6, fake: { duration: "500ms" } });
    expect(await app.apply(work)).toMatchObject({ code: 0 });
    const offer = await offered(stage);
    expect(offer.spec).toMatchObject({ framework: "fw", queue: "default", concurrency: "Exclusive" });
    // The node that the operator saw first is filled first, whichever that is.
    const slices: Json[] = [...offer.spec.slices].sort((a, b) => Number(b.resources.cpu) - Number(a.resources.cpu));
    expect(slices.map(({ resources }) => resources.cpu)).toEqual(["4", "2"]);
    expect(slices.map(({ node }) => node).sort()).toEqual(["accepts-0000", "accepts-0001"]);
    const launches = slices.map(({ name, resources }) => ({ task: "work", slice: name, count: Number(resources.cpu) }));
    expect(await app.patch("offer", offer.metadata.name, accept(app, ...launches))).toMatchObject({ code: 0 });
    const status = await end(stage, offer);
    expect(status).toMatchObject({ phase: "Accepted", launches: [{ indexes: "0-3" }, { indexes: "4-5" }] });
    expect(await tenant.ended("work")).toMatchObject({ state: "Finished", progress: "6/6" });
    const seen = await tenant.seen();
    expect(seen.map(({ index, node }) => [index, node]).sort()).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => [index, slices[index < 4 ? 0 : 1]!.node]),
    );
    for (const { object } of seen) expect(object.metadata.labels["proffer.dev/offer"]).toContain(offer.metadata.uid);
    // People see the same, line by line.
    const printed = (phase: string) =>
      watch.lines().some((line) => line.includes(offer.metadata.name) && line.includes(phase));
    await eventually("kubectl prints its life", watch.lines, () => printed("Open") && printed("Accepted"));
    watch.stop();
  });

  test("that is taken in part leaves the rest to be offered again", async () => {
    const stage = await scene("in-part", 1);
    const { app, tenant } = stage;
    await app.apply(tenant.taskObject("work", { instances: 3 }));
    const first = await offered(stage);
    expect(first.spec.slices[0].resources.cpu).toBe("3");
    await app.patch("offer", first.metadata.name, accept(app, { task: "work", slice: "s0", count: 1 }));
    expect(await end(stage, first)).toMatchObject({ phase: "Accepted", launches: [{ indexes: "0" }] });
    const second = await offered(stage, [first]);
    expect(second.spec.slices[0].resources.cpu).toBe("2");
    await app.patch("offer", second.metadata.name, accept(app, { task: "work", slice: "s0", count: 2 }));
    await tenant.podsUntil("three run", running(3));
  });

  test("that is declined does not come again before the time is over", async () => {
    const stage = await scene("declines", 1);
    const { app, tenant } = stage;
    await app.apply(tenant.taskObject("work"));
    const first = await offered(stage);
    const declinedAtMs = Date.now();
    expect(await app.patch("offer", first.metadata.name, decline(app, 3))).toMatchObject({ code: 0 });
    expect(await end(stage, first)).toMatchObject({ phase: "Declined", reason: "declined", message: "not now" });
    expect(madeAtMs(await offered(stage, [first])) - declinedAtMs).toBeGreaterThanOrEqual(3_000);
  });

  test("that was declined comes again at once when the framework is revived", async () => {
    const stage = await scene("revives", 1);
    const { app, tenant } = stage;
    await app.apply(tenant.taskObject("work"));
    const first = await offered(stage);
    await app.patch("offer", first.metadata.name, decline(app, 600));
    await end(stage, first);
    expect(await tenant.waits("work", "NoNode")).toMatch(/1 filtered by a refusal until/);
    expect(await app.patch("framework", "fw", { spec: { revive: 1 } })).toMatchObject({ code: 0 });
    await offered(stage, [first]);
  });

  test("that nobody answers expires, and its room is offered anew", async () => {
    const stage = await scene("expires", 1, { offers: { timeoutSeconds: 1 } });
    await stage.app.apply(stage.tenant.taskObject("work"));
    const first = await offered(stage);
    expect(await end(stage, first)).toMatchObject({ phase: "Expired", reason: "expired" });
    const second = await offered(stage, [first]);
    expect(madeAtMs(second, 1)).toBeGreaterThanOrEqual(Date.parse(first.spec.expiresAt));
    const late = await stage.app.patch("offer", first.metadata.name, decline(stage.app, 1));
    expect((await stage.app.get("offer", first.metadata.name)).status.phase).toBe("Expired");
    // An answer that comes too late is either refused or without effect.
    if (late.code === 0) expect(await stage.tenant.pods()).toEqual([]);
  });

  test("that is deleted is rescinded: its room is offered anew", async () => {
    const stage = await scene("rescinds", 1);
    await stage.app.apply(stage.tenant.taskObject("work"));
    const first = await offered(stage);
    expect((await stage.app.try("delete", "offer", first.metadata.name)).complaint).toContain("cannot delete");
    await site.kubectl(["-n", "rescinds", "delete", "offer", first.metadata.name]);
    const second = await offered(stage, [first]);
    expect(second.spec.slices[0].node).toBe("rescinds-0000");
    await eventually(
      "the framework tells of both: one rescinded, one open",
      async () => (await stage.tenant.api.get(stage.tenant.path("frameworks", "fw"))).status?.offers,
      (counts) => counts?.rescinded === 1 && counts.open === 1,
    );
  });

  test("is not made to a framework that is suppressed", async () => {
    const stage = await scene("quiet-one", 1, { suppressed: true });
    await stage.app.apply(stage.tenant.taskObject("work"));
    await stage.tenant.waits("work", "Suppressed");
    expect(await stage.app.list("offers")).toEqual([]);
    await stage.app.patch("framework", "fw", { spec: { suppressed: false } });
    await offered(stage);
  });
});

describe.concurrent("an answer", () => {
  test("is given once: admission refuses another", async () => {
    const stage = await scene("once", 1);
    const { app } = stage;
    await app.apply(stage.tenant.taskObject("work"));
    const offer = await offered(stage);
    expect(await app.patch("offer", offer.metadata.name, decline(app, 600))).toMatchObject({ code: 0 });
    const again = accept(app, { task: "work", slice: "s0", count: 1 });
    const said = await app.patch("offer", offer.metadata.name, again);
    expect(said.code).not.toBe(0);
    expect(said.complaint).toMatch(/answered once|has been answered/);
    expect((await end(stage, offer)).phase).toBe("Declined");
    expect(await stage.tenant.pods()).toEqual([]);
  });

  test("to another's offer is refused by admission, in one's own name and in the other's", async () => {
    const stage = await scene("others", 1);
    await stage.app.apply(stage.tenant.taskObject("work"));
    const offer = await offered(stage);
    const rival = await Person.in(site.cluster, "others", "rival");
    const launch = { task: "work", slice: "s0", count: 1 };
    const own = await rival.patch("offer", offer.metadata.name, accept(rival, launch));
    expect(own.complaint).toContain("may not answer this Offer");
    const borrowed = await rival.patch("offer", offer.metadata.name, accept(stage.app, launch));
    expect(borrowed.complaint).toContain("answer.by must be your own user name");
    const stranger = await Person.in(site.cluster, "others", "stranger", "proffer-viewer");
    const denied = await stranger.patch("offer", offer.metadata.name, accept(stranger, launch));
    expect(denied.complaint).toContain("cannot patch");
    expect((await stage.app.get("offer", offer.metadata.name)).answer).toBeUndefined();
    // The offer stands: its owner takes it.
    expect(await stage.app.patch("offer", offer.metadata.name, accept(stage.app, launch))).toMatchObject({ code: 0 });
    await stage.tenant.podsUntil("one runs", running(1));
  });

  test.each<{ name: string; launches: Json[]; reason: string; message: RegExp }>([
    {
      name: "names-no-task",
      launches: [{ task: "nobody", slice: "s0", count: 1 }],
      reason: "unknown-task",
      message: /others\/fw has no task nobody|names-no-task\/fw has no task nobody/,
    },
    {
      name: "names-others-task",
      launches: [{ task: "steady", slice: "s0", count: 1 }],
      reason: "unknown-task",
      message: /has no task steady/,
    },
    {
      name: "too-large",
      launches: [
        { task: "work", slice: "s0", count: 1 },
        { task: "large", slice: "s0", count: 1 },
      ],
      reason: "too-large",
      message: /slice s0: cpu: \S+ asked, \S+ in the slice/,
    },
    {
      name: "not-pending",
      launches: [{ task: "work", slice: "s0", count: 3 }],
      reason: "not-pending",
      message: /has 2 instances that may start, the answer starts 3/,
    },
  ])("that is wrong is refused as a whole, says why, and disturbs nobody: $name", async (row) => {
    const stage = await scene(`wrong-${row.name}`, 2);
    const { app, tenant } = stage;
    await tenant.framework({}, "calm");
    await tenant.task("steady", { framework: "calm" });
    await tenant.podsUntil("it runs", running(1), "steady");
    await app.apply(tenant.taskObject("large", { requests: { cpu: "100" } }));
    await app.apply(tenant.taskObject("work", { instances: 2 }));
    const offer = await offered(stage);
    expect(await app.patch("offer", offer.metadata.name, accept(app, ...row.launches))).toMatchObject({ code: 0 });
    const status = await end(stage, offer);
    expect(status).toMatchObject({ phase: "Refused", reason: row.reason });
    expect(status.message).toMatch(row.message);
    expect(status.launches.map(({ indexes, refused }: Json) => [indexes, refused.reason])).toEqual(
      row.launches.map(() => ["", row.reason]),
    );
    // Its room is offered again, and nothing else has happened.
    const next = await offered(stage, [offer]);
    expect(await tenant.pods("work")).toEqual([]);
    expect((await tenant.pods("steady")).map(({ status }) => status.phase)).toEqual(["Running"]);
    await app.patch("offer", next.metadata.name, accept(app, { task: "work", slice: "s0", count: 1 }));
    await tenant.podsUntil("one runs", running(1), "work");
  });

  test("that names a slice the offer does not have is refused before it is written", async () => {
    const stage = await scene("no-slice", 1);
    const { app } = stage;
    await app.apply(stage.tenant.taskObject("work"));
    const offer = await offered(stage);
    const said = await app.patch("offer", offer.metadata.name, accept(app, { task: "work", slice: "s7", count: 1 }));
    expect(said.complaint).toContain("names a slice that is not in spec.slices");
    expect((await app.get("offer", offer.metadata.name)).answer).toBeUndefined();
  });
});
