import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { refusal } from "./admission.test-support.ts";
import { eventually } from "./support/eventually.ts";
import { needs, Site } from "./support/site.ts";
import { QUEUES, type Tenant } from "./support/tenant.ts";

// Queues that contradict each other, and queues that serve their children in another order. Each test has a resource of its
// own, which only its nodes have.

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

const accepted = ({ status }: Json): Json =>
  (status?.conditions ?? []).find(({ type }: Json) => type === "Accepted") ?? {};

/** Waits until the queue says that it is in use as declared, or is not. */
function queueUntil(name: string, status: "True" | "False", message = /./): Promise<Json> {
  const holds = (queue: Json) => accepted(queue).status === status && message.test(accepted(queue).message);
  return eventually(`queue ${name}: Accepted is ${status}`, () => site.cluster.api.get(`${QUEUES}/${name}`), holds);
}

const change = (name: string, spec: Json): Promise<Json> => site.cluster.api.patch(`${QUEUES}/${name}`, { spec });

const isInvalid = (status: Json): boolean => accepted({ status }).reason === "QueueInvalid";

/** A tenant whose nodes have so many slots, all of them taken by the Task `blocker`, which soon gives back what it borrows. */
async function blocked(namespace: string, slots: number): Promise<Tenant & { readonly slot: Json }> {
  const name = `${namespace}.test/slots`;
  const tenant = await site.tenant(namespace, `cpu=64,memory=64Gi,${name}=${slots}`);
  const slot = { cpu: "10m", [name]: "1" };
  const queue = `${namespace}-blocker`;
  await site.queue(queue, { reclaim: { graceSeconds: 1 } });
  await tenant.framework({ queues: [{ name: queue }] });
  await tenant.task("blocker", { instances: slots, requests: slot });
  await tenant.counts("blocker", { running: slots });
  return Object.assign(tenant, { slot });
}

describe("queues that contradict each other", () => {
  test("a guarantee above the parent's is not in force, and says what is left; what is lowered is", async () => {
    await site.queue("roof", { guarantee: { cpu: "10" }, limit: { cpu: "20" } });
    await site.queue("wide", { parent: "roof", guarantee: { cpu: "11" } });
    const told = /guaranteed 11 cpu, above the guarantee of roof, which is 10 cpu: 10 cpu are left.*not in force/;
    expect(accepted(await queueUntil("wide", "False", told)).reason).toBe("QueueInvalid");
    await change("wide", { guarantee: { cpu: "9" } });
    await queueUntil("wide", "True");
    // And the other way round: less above than what stands below.
    await change("roof", { guarantee: { cpu: "8" } });
    const refused = await queueUntil("roof", "False", /below it are guaranteed 9 cpu, above its guarantee of 8 cpu/);
    expect(refused.status.lastGood).toMatchObject({ inForce: true, spec: { guarantee: { cpu: "10" } } });
    await queueUntil("wide", "True");
  });

  test("of two that are created at once and are too much together, one is refused until there is room", async () => {
    await site.queue("pair", { guarantee: { cpu: "10" } });
    const names = ["left", "right"];
    await Promise.all(names.map((name) => site.queue(name, { parent: "pair", guarantee: { cpu: "6" } })));
    const queues = await eventually(
      "both are decided on",
      () => Promise.all(names.map((name) => site.cluster.api.get(`${QUEUES}/${name}`))),
      (both) => both.every((queue) => accepted(queue).status !== undefined),
    );
    const holds = (status: string) => queues.filter((queue) => accepted(queue).status === status);
    expect([holds("True").length, holds("False").length]).toEqual([1, 1]);
    const first = holds("True")[0]!.metadata.name;
    const second = holds("False")[0]!.metadata.name;
    expect(accepted(holds("False")[0]!)).toMatchObject({
      reason: "QueueInvalid",
      message: expect.stringMatching(/12 cpu, above the guarantee of pair.*: 4 cpu are left/),
    });
    const tenant = await site.tenant("pair", "cpu=4,memory=8Gi");
    await tenant.framework({ queues: [{ name: second }] });
    await tenant.task("t");
    const waits = await tenant.until("t", "not to be accepted", (status) => isInvalid(status));
    expect(accepted({ status: waits }).message).toContain(
      `queue ${second}: with it, the queues below pair would be guaranteed 12 cpu`,
    );
    await site.cluster.api.delete(`${QUEUES}/${first}`);
    await tenant.counts("t", { running: 1 });
    await queueUntil(second, "True");
  });

  test("of two updates that make a circle, the second is not in force; once the first is taken back it is", async () => {
    await site.queue("hen");
    await site.queue("egg");
    await change("hen", { parent: "egg" });
    await change("egg", { parent: "hen" });
    await queueUntil("hen", "True");
    const refused = await queueUntil("egg", "False", /would be below itself \(egg, hen, egg\): correct the parent/);
    expect(refused.status.lastGood).toMatchObject({ generation: 1, inForce: true });
    await change("hen", { parent: null });
    expect((await queueUntil("egg", "True")).status.lastGood).toMatchObject({ generation: 2, spec: { parent: "hen" } });
  });

  test("a parent that comes later brings the queues that wait for it into force, and their Tasks", async () => {
    await site.queue("orphan", { parent: "late" });
    await queueUntil("orphan", "False", /its parent late does not exist: create that queue or correct spec.parent/);
    const tenant = await site.tenant("orphan", "cpu=4,memory=8Gi");
    await tenant.framework({ queues: [{ name: "orphan" }] });
    await tenant.task("t");
    await tenant.until("t", "to wait for its queue", (status) => isInvalid(status));
    await site.queue("late");
    await queueUntil("orphan", "True");
    await tenant.counts("t", { running: 1 });
  });

  test("a change that is contradictory is not in force, before and after another leader comes; what was before is", async () => {
    await site.queue("firm", { limit: { cpu: "2" } });
    const tenant = await site.tenant("firm", "cpu=8,memory=8Gi");
    await tenant.framework({ queues: [{ name: "firm" }] });
    await tenant.task("t", { instances: 4 });
    await tenant.counts("t", { running: 2, pending: 2 });
    // Below itself, and with a higher limit.
    await site.queue("child", { parent: "firm" });
    await queueUntil("child", "True");
    await change("firm", { parent: "child", limit: { cpu: "3" } });
    const told = /would be below itself \(firm, child, firm\).*generation 1\) stays in force/;
    const refused = await queueUntil("firm", "False", told);
    expect(refused.status.lastGood).toMatchObject({ generation: 1, inForce: true, spec: { limit: { cpu: "2" } } });
    await site.operator.stop();
    await site.startOperator();
    await tenant.task("u");
    await tenant.waits("u", "OverLimit");
    await tenant.counts("t", { running: 2, pending: 2 });
    await queueUntil("firm", "False", told);
    await change("firm", { parent: null });
    await queueUntil("firm", "True");
    await tenant.counts("t", { running: 3, pending: 1 });
  });

  test.each<{ name: string; spec: Json; says: RegExp }>([
    {
      name: "a guarantee above the limit, in whatever units",
      spec: { guarantee: { cpu: 1, memory: "1025Mi" }, limit: { memory: "1Gi", cpu: "1000m" } },
      says: /guarantee must not be above the limit/,
    },
    { name: "a weight of zero", spec: { weight: 0 }, says: /weight.*greater than or equal to 1/ },
    { name: "an order that does not exist", spec: { order: "Lottery" }, says: /order.*supported values.*Fifo/ },
    { name: "to be its own parent", spec: { parent: "refused" }, says: /cannot be its own parent/ },
  ])("is refused when it is written: $name", async ({ spec, says }) => {
    expect(await refusal(site.queue("refused", spec))).toMatch(says);
    // So is a change, and what was there stays.
    const name = "stays";
    if ((await site.cluster.api.find(`${QUEUES}/${name}`)) === undefined) await site.queue(name);
    const changed = spec.parent === undefined ? spec : { parent: name };
    expect(await refusal(change(name, changed))).toMatch(says);
    expect((await queueUntil(name, "True")).metadata.generation).toBe(1);
  });

  test("a guarantee of just the limit is fine, in whatever units", async () => {
    await site.queue("exact", { guarantee: { cpu: "1", memory: "1024Mi" }, limit: { memory: "1Gi", cpu: "1000m" } });
    await queueUntil("exact", "True");
  });
});

describe("the order of service", () => {
  test("first in, first out: the Tasks of two frameworks of a queue stand in one line", async () => {
    await site.queue("fifo", { order: "Fifo" });
    const tenant = await blocked("fifo", 4);
    for (const name of ["f", "g"]) await tenant.framework({ queues: [{ name: "fifo" }] }, name);
    const names = ["t1", "t2", "t3"];
    for (const [i, name] of names.entries()) {
      const framework = i === 1 ? "g" : "f";
      await tenant.task(name, { framework, instances: 4, requests: tenant.slot });
      await tenant.waits(name, "NoNode");
    }
    const before = ["blocker", ...names];
    for (const [i, name] of names.entries()) {
      await tenant.patchTask(before[i]!, { kill: {} });
      await tenant.counts(name, { running: 4 });
      for (const later of names.slice(i + 1)) await tenant.counts(later, { running: 0, pending: 4 });
    }
  });

  test("capacity: by the part of their guarantees that queues have used", async () => {
    const tenant = await blocked("capacity", 8);
    const [name] = Object.keys(tenant.slot).filter((resource) => resource.includes("/"));
    await site.queue("capacity", { order: "Capacity" });
    await site.queue("small", { parent: "capacity", guarantee: { [name!]: 1 } });
    await site.queue("large", { parent: "capacity", guarantee: { [name!]: 3 } });
    for (const queue of ["small", "large"]) {
      await tenant.framework({ queues: [{ name: queue }] }, queue);
      await tenant.task(queue, { framework: queue, instances: 8, requests: tenant.slot });
      // It has got its guarantee back by then.
      await tenant.waits(queue, "NoNode");
    }
    await tenant.patchTask("blocker", { kill: {} });
    // Twice its guarantee each; shares would be even.
    await tenant.counts("large", { running: 6, pending: 2 });
    await tenant.counts("small", { running: 2, pending: 6 });
  });
});

describe("a queue in use", () => {
  const deletion = (name: string) => site.cluster.api.delete(`${QUEUES}/${name}`);
  const used = (name: string, frameworks: number, queues: number) =>
    eventually(
      `queue ${name} is listed by ${frameworks} and has ${queues} below`,
      () => site.cluster.api.get(`${QUEUES}/${name}`),
      ({ status }) => status?.frameworks === frameworks && status.queues === queues,
    );

  test("is not deleted as long as a Framework lists it or a queue is below it, and goes when nobody does", async () => {
    await site.queue("used");
    await site.queue("below", { parent: "used" });
    const tenant = await site.tenant("used");
    await tenant.framework({ queues: [{ name: "below" }] });
    await used("used", 1, 1);
    await used("below", 1, 0);
    expect(await refusal(deletion("used"))).toMatch(
      /Queue used is in use: 1 Frameworks list it or a queue below it, and it has 1 queues below it\. Take it out/,
    );
    expect(await refusal(deletion("below"))).toMatch(/1 Frameworks list it or a queue below it, and it has 0 queues/);
    await tenant.patchFramework({ queues: [{ name: "default" }] });
    await used("below", 0, 0);
    await deletion("below");
    await used("used", 0, 0);
    await deletion("used");
  });

  test("goes with its Frameworks, and with the queues above it, by the command that the examples name", async () => {
    const readme = readFileSync(new URL("../../examples/README.md", import.meta.url), "utf8");
    const command = /^until kubectl delete .*$/m.exec(readme)![0].replace("mesos", "yarn-capacity");
    const file = "examples/yarn-capacity/small.yaml";
    await site.kubectl(["apply", "-f", file]);
    await used("ads", 1, 0);
    await used("root", 2, 2);
    await site.shell(command);
    for (const name of ["root", "ads", "bio"]) expect(await site.cluster.api.find(`${QUEUES}/${name}`)).toBe(undefined);
  });

  test("that is deleted past admission keeps what runs, and says what waits for it", async () => {
    await site.queue("passing", { limit: { cpu: "1" } });
    const tenant = await site.tenant("passing", "cpu=4,memory=8Gi");
    await tenant.framework({ queues: [{ name: "passing" }] });
    await tenant.task("t", { instances: 3 });
    await tenant.counts("t", { running: 1, pending: 2 });
    const bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
    await site.cluster.api.delete(`${bindings}/queues.proffer.dev`);
    await eventually(
      "the policy is out of force, and the queue deleted",
      () => refusal(deletion("passing")),
      (said) => said === "",
    );
    await tenant.until("t", "to miss its queue", (status) => accepted({ status }).reason === "UnknownQueue");
    await tenant.counts("t", { running: 1, pending: 2 });
    await site.queue("passing", { limit: { cpu: "2" } });
    await tenant.counts("t", { running: 2, pending: 1 });
  });
});
