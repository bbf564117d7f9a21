import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { RELEASE } from "../../tools/operator/install-chart.ts";
import type { OperatorProcess } from "../../tools/operator/start-operator.ts";
import { allFinished, burst, madeAtLeast, neverTooFull, noFinalizers, ranExactlyOnce } from "./support/burst.ts";
import { eventually } from "./support/eventually.ts";
import { becomes, roleOf } from "./support/leadership.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// Operators are killed, paused and cut off in the middle of their work. Nothing may run twice, nothing be lost, and no node
// be over-full at any time. Times are printed; what is asserted leaves room for busy machines.

let site: Site;
let running: OperatorProcess[] = [];
let tenants: Tenant[] = [];

beforeAll(async () => {
  site = await Site.open({ operator: false });
});
afterAll(() => site?.close());
needs(() => site.cluster, "processes", "fakeKubelets");
afterEach(async () => {
  await Promise.all(tenants.map((tenant) => tenant.clear()));
  await Promise.all(running.map((operator) => operator.stop()));
  [running, tenants] = [[], []];
});

async function operator(): Promise<OperatorProcess> {
  const started = await site.startOperator();
  running.push(started);
  return started;
}

/** One that leads, and one that stands by. */
async function pair(): Promise<[leader: OperatorProcess, standby: OperatorProcess]> {
  const leader = await operator();
  await becomes(leader, "leader");
  const standby = await operator();
  await becomes(standby, "standby");
  return [leader, standby];
}

/** Ten nodes, and a framework that fills them. */
async function crowd(namespace: string, cpu: number, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, `cpu=${cpu},memory=64Gi`, 10);
  tenants.push(tenant);
  await tenant.framework(spec);
  return tenant;
}

/** When the first pod was seen that was made at least a second (no request takes longer here) after `sinceMs`. */
async function firstPodAfter(sinceMs: number): Promise<number> {
  const first = () => [...site.pods.pods.values()].find((pod) => pod.seenAtMs > sinceMs + 1_000)?.seenAtMs;
  return (await eventually("a pod is made", first, (atMs) => atMs !== undefined))! - sinceMs;
}

const print = (what: string, ms: number) => console.log(`${what}: ${(ms / 1_000).toFixed(2)} s`);

describe("an operator killed in the middle of a burst", () => {
  test("goes on where it was: 1,000 instances, each once", async () => {
    const tenant = await crowd("killed", 30);
    const first = await operator();
    const instances = burst(tenant, { together: 500, alone: 500, duration: "1s" });
    await madeAtLeast(site.pods, tenant, 200);
    await first.kill();
    const killedAtMs = Date.now();
    await operator();
    await ranExactlyOnce(site.pods, tenant, await instances);
    print("1,000 instances, from the kill to the end", Date.now() - killedAtMs);
  });

  test("twice over: 150 instances, each once", async () => {
    const tenant = await crowd("killed-often", 3);
    const instances = burst(tenant, { together: 80, alone: 70, duration: "500ms" });
    for (const made of [40, 80]) {
      const doomed = await operator();
      await madeAtLeast(site.pods, tenant, made);
      await doomed.kill();
    }
    await operator();
    await ranExactlyOnce(site.pods, tenant, await instances);
  });
});

describe("of two operators", () => {
  test("the other takes over when the leader is killed", async () => {
    const tenant = await crowd("takes-over", 4);
    const [leader, standby] = await pair();
    const instances = await burst(tenant, { together: 200, duration: "500ms" });
    await madeAtLeast(site.pods, tenant, 60);
    await leader.kill();
    const killedAtMs = Date.now();
    const ms = await firstPodAfter(killedAtMs);
    print("from the leader's death to the first launch by the other", ms);
    expect(ms).toBeLessThan(15_000);
    await becomes(standby, "leader");
    await ranExactlyOnce(site.pods, tenant, instances);
  });

  test("the other hands over at once when told to end", async () => {
    const tenant = await crowd("hands-over", 4);
    const [leader, standby] = await pair();
    const instances = await burst(tenant, { together: 200, duration: "500ms" });
    await madeAtLeast(site.pods, tenant, 60);
    const toldAtMs = Date.now();
    const ended = leader.stop();
    await becomes(standby, "leader");
    const ms = Date.now() - toldAtMs;
    print("from SIGTERM to the other's open term", ms);
    // Sooner than the lease would have run out.
    expect(ms).toBeLessThan(6_000);
    expect(await ended).toBe(0);
    await ranExactlyOnce(site.pods, tenant, instances);
  });

  test("one that was frozen past its lease does nothing twice when it thaws", async () => {
    const tenant = await crowd("thaws", 4);
    const [leader, standby] = await pair();
    const instances = await burst(tenant, { together: 150, alone: 50, duration: "500ms" });
    await madeAtLeast(site.pods, tenant, 60);
    leader.signal("SIGSTOP");
    await becomes(standby, "leader");
    const made = await madeAtLeast(site.pods, tenant, 0);
    await madeAtLeast(site.pods, tenant, made + 40);
    leader.signal("SIGCONT");
    await becomes(leader, "standby");
    // The other, unless the machine stood still for longer than its lease: then whoever was first.
    const roles = async () => [await roleOf(leader), await roleOf(standby)].sort().join();
    await eventually("one of them leads", roles, (both) => both === "leader,standby");
    await ranExactlyOnce(site.pods, tenant, instances);
  });

  test("the new leader settles answers and takes back open offers", async () => {
    const tenant = await site.tenant("settles", "cpu=4,memory=8Gi", 2);
    tenants.push(tenant);
    await tenant.api.create(`/api/v1/namespaces/settles/serviceaccounts`, { metadata: { name: "app" } });
    const app = "system:serviceaccount:settles:app";
    await tenant.framework({ scheduler: { type: "Offers" }, answerers: [app], offers: { slack: 1 } }, "asks");
    await tenant.framework({ scheduler: { type: "Offers" }, answerers: [app], offers: { slack: 1 } }, "idles");
    const [leader, standby] = await pair();
    for (const framework of ["asks", "idles"]) await tenant.task(framework, { framework, instances: 3 });
    const open = async (framework: string) => {
      const { items } = await tenant.api.get(tenant.path("offers"));
      return items.filter(({ spec, status }: Json) => spec.framework === framework && status?.phase === "Open");
    };
    const [asked] = await eventually(
      "an offer",
      () => open("asks"),
      (offers) => offers.length > 0,
    );
    const [idle] = await eventually(
      "an offer",
      () => open("idles"),
      (offers) => offers.length > 0,
    );
    await leader.kill();
    const killedAtMs = Date.now();
    const launches = [{ task: "asks", slice: asked.spec.slices[0].name, count: 1 }];
    // The administrator has every right, and the policy asks only whose name it is.
    const answer = JSON.stringify({ answer: { by: app, decision: "Accept", launches } });
    const asApp = ["--as", app, "--as-group", "system:masters", "-n", "settles"];
    await site.kubectl([...asApp, "patch", "offer", asked.metadata.name, "--type=merge", "-p", answer]);
    const ended = (offer: Json, phase: string) =>
      eventually(
        `the offer is ${phase}`,
        () => tenant.api.get(tenant.path("offers", offer.metadata.name)),
        ({ status }) => status?.phase === phase,
      );
    const { status } = await ended(asked, "Accepted");
    expect(status.launches).toEqual([{ task: "asks", slice: launches[0]!.slice, indexes: "0" }]);
    expect((await ended(idle, "Rescinded")).status.reason).toBe("new-term");
    const [fresh] = await eventually(
      "a new offer",
      () => open("idles"),
      (offers) => offers.length > 0,
    );
    const ms = Date.parse(fresh.metadata.creationTimestamp) - killedAtMs;
    print("from the leader's death to the first offer of the other (whole seconds)", ms);
    expect(ms).toBeLessThan(15_000);
    expect(fresh.spec.term).not.toBe(idle.spec.term);
    await tenant.podsUntil("one runs", (pods) => pods.length === 1 && pods[0].status.phase === "Running");
    await becomes(standby, "leader");
    await neverTooFull(site.pods, tenant);
  });
});

describe("a Lease that somebody deletes", () => {
  test("is missed by its holder, which begins a new term with a new one", async () => {
    const leader = await operator();
    await becomes(leader, "leader");
    const path = `/apis/coordination.k8s.io/v1/namespaces/${RELEASE.namespace}/leases/proffer-operator`;
    const { metadata, spec } = await site.cluster.api.get(path);
    await site.cluster.api.delete(path);
    const made = await eventually(
      "there is another Lease",
      () => site.cluster.api.find(path),
      (lease) => lease !== undefined,
    );
    expect(made.metadata.uid).not.toBe(metadata.uid);
    expect(made.spec.holderIdentity).toBe(spec.holderIdentity);
    await becomes(leader, "leader");
    expect(leader.log()).toContainEqual(expect.objectContaining({ reason: "deleted" }));
  });
});

describe("an outage of the API server", () => {
  test("sends the leader to standby and back to work, in the same process", async () => {
    const tenant = await crowd("outage", 4);
    const only = await operator();
    await becomes(only, "leader");
    const instances = await burst(tenant, { together: 150, alone: 50, duration: "500ms" });
    await madeAtLeast(site.pods, tenant, 60);
    await site.cluster.processes.kill("kube-apiserver");
    const killedAtMs = Date.now();
    // No renewal comes through: after its deadline it must not act any more.
    await becomes(only, "standby");
    await eventually(
      "10 s have passed",
      () => Date.now() - killedAtMs,
      (ms) => ms >= 10_000,
    );
    expect(await roleOf(only)).toBe("standby");
    await site.cluster.processes.restart("kube-apiserver");
    const backAtMs = Date.now();
    await becomes(only, "leader");
    print("from the API server's return to an open term", Date.now() - backAtMs);
    expect(only.running()).toBe(true);
    await allFinished(tenant);
    await ranExactlyOnce(site.pods, tenant, instances);
    await noFinalizers(tenant);
  });
});
