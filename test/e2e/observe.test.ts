import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REASONS } from "../../src/offers/explain/reasons.ts";
import { formatQuantities } from "../../src/offers/quantity.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { OperatorProcess } from "../../tools/operator/start-operator.ts";
import { eventually } from "./support/eventually.ts";
import { Person } from "./support/person.ts";
import { needs, Site } from "./support/site.ts";
import { Tenant } from "./support/tenant.ts";

// What the operator tells of itself, to whom, and that it is true.

let site: Site;
let standby: OperatorProcess;
let leader: OperatorProcess;
beforeAll(async () => {
  site = await Site.open();
  leader = site.operator;
  standby = await site.startOperator();
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

interface Heard {
  readonly status: number;
  readonly text: string;
}

async function ask(operator: OperatorProcess, path: string, token?: string): Promise<Heard> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${operator.url}${path}`, { headers });
  return { status: answer.status, text: await answer.text() };
}

/** The token of a new ServiceAccount with an editor's rights in a namespace of its own. */
async function tokenIn(namespace: string): Promise<string> {
  await site.namespace(namespace);
  await Person.in(site.cluster, namespace, "app");
  return site.cluster.requestToken(namespace, "app");
}

/** A token that may read the metrics, by the chart's role. */
async function reader(): Promise<string> {
  const token = await tokenIn("monitoring");
  await site.cluster.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name: "monitoring-reads-proffer" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "proffer-metrics-reader" },
    subjects: [{ kind: "ServiceAccount", name: "app", namespace: "monitoring" }],
  });
  await eventually(
    "the reader may read",
    () => ask(leader, "/metrics", token),
    ({ status }) => status === 200,
  );
  return token;
}

/** Value of the sample with these labels; 0 where there is none. */
function sample(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  for (const [, own = "", value] of text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, "gm"))) {
    if (Object.entries(labels).every(([key, wanted]) => own.includes(`${key}="${wanted}"`))) return Number(value);
  }
  return 0;
}

describe("the metrics", () => {
  let token: string;
  beforeAll(async () => {
    token = await reader();
  });

  test("are for those who may read them", async () => {
    expect((await ask(leader, "/metrics")).status).toBe(401);
    expect((await ask(leader, "/metrics", "no-token-of-anybody")).status).toBe(401);
    expect((await ask(leader, "/metrics", await tokenIn("curious"))).status).toBe(403);
    expect((await ask(leader, `/metrics?token=${"x".repeat(40)}`)).status).toBe(400);
    expect((await ask(leader, "/metrics", token)).text).toContain("# HELP proffer_queue_allocated");
  });

  test("tell of each queue what its pods request, what is offered, and what is wanted", async () => {
    await site.queue("counted");
    const tenant = await site.tenant("counted", "cpu=8,memory=16Gi", 2);
    const queues = [{ name: "counted" }];
    await tenant.framework({ queues });
    await tenant.framework(
      { queues, scheduler: { type: "Offers" }, answerers: ["nobody"], offers: { slack: 1 } },
      "asks",
    );
    await tenant.task("runs", { instances: 5, requests: { memory: "256Mi" } });
    await tenant.task("offered", { framework: "asks", instances: 3 });
    await tenant.task("giant", { requests: { cpu: "100" } });
    await tenant.podsUntil("five run", (pods) => pods.filter(({ status }) => status.phase === "Running").length === 5);
    const read = async () => (await ask(leader, "/metrics", token)).text;
    const of = (text: string, what: string, resource: string) =>
      sample(text, `proffer_queue_${what}`, { queue: "counted", resource });
    // Whatever was counted last: what follows holds for all of it at once.
    const isCounted = (now: string) => of(now, "offered", "cpu") === 3 && of(now, "demand", "cpu") === 103;
    const text = await eventually("the offer and the giant are counted", read, isCounted);
    const pods = await tenant.pods();
    const cpus = pods.reduce((sum, { spec }) => sum + Number(spec.containers[0].resources.requests.cpu), 0);
    expect([of(text, "allocated", "cpu"), cpus]).toEqual([5, 5]);
    expect(of(text, "allocated", "memory")).toBe(5 * 256 * 2 ** 20);
    expect(sample(text, "proffer_ledger_inconsistencies")).toBe(0);
    const status = await eventually(
      "the Queue says the same",
      () => site.cluster.api.get("/apis/proffer.dev/v1alpha1/queues/counted"),
      ({ status }) => status?.offered?.cpu === "3" && status.counts.running === 5 && status.counts.pending === 4,
    );
    expect(status.status.allocated).toMatchObject({ cpu: "5", memory: "1280Mi" });
    expect(formatQuantities({ memory: 5 * 256 * 1024 })).toEqual({ memory: status.status.allocated.memory });
  });

  test("of a standby say so, and it says who leads", async () => {
    expect(sample((await ask(leader, "/metrics", token)).text, "proffer_is_leader")).toBe(1);
    expect(sample((await ask(standby, "/metrics", token)).text, "proffer_is_leader")).toBe(0);
    for (const operator of [leader, standby]) {
      expect((await ask(operator, "/healthz")).status).toBe(200);
      expect((await ask(operator, "/readyz")).status).toBe(200);
    }
    expect(await ask(standby, "/explain/queue/default", token)).toMatchObject({ status: 503 });
  });
});

describe("why something waits", () => {
  let tenant: Tenant;
  let token: string;
  beforeAll(async () => {
    token = await tokenIn("waits");
    tenant = new Tenant(site.cluster, site.pods, "waits");
    await tenant.nodes("cpu=4,memory=8Gi");
    await tenant.framework();
  });

  test("is told in the same words by the Task, by /explain and by kubectl", async () => {
    await tenant.task("giant", { requests: { cpu: "100" } });
    const message = await tenant.waits("giant", "NoNode");
    expect(message).toMatch(/insufficient cpu \(needs 100, largest free 4\)/);
    const { status, text } = await ask(leader, "/explain/task/waits/giant", token);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ kind: "Task", why: { reason: "no-node", message } });
    const asText = await ask(leader, "/explain/task/waits/giant?format=text", token);
    expect(asText.text).toContain(message);
    expect(await site.kubectl(["describe", "task.proffer.dev", "giant", "-n", "waits"])).toContain(message);
    expect((await tenant.status("giant")).why).toBe(message);
    const events = await eventually(
      "the event that says so",
      async () => (await tenant.api.get("/apis/events.k8s.io/v1/namespaces/waits/events")).items,
      (items) => items.some(({ reason }: Json) => reason === "NoNode"),
    );
    const told = events.filter(({ regarding }: Json) => regarding.name === "giant");
    expect(told).toMatchObject([{ type: "Normal", reason: "NoNode", note: message, regarding: { kind: "Task" } }]);
    const framework = JSON.parse((await ask(leader, "/explain/framework/waits/fw", token)).text);
    expect(framework.why).toMatchObject({ reason: "no-node", message });
  });

  test("comes with when it may start: what runs has ended by then, as it states, or nobody knows", async () => {
    const place = { tasks: 0, levels: [{ queue: "default", before: 0 }, { queue: "" }] };
    const asked = async (task: string) => JSON.parse((await ask(leader, `/explain/task/waits/${task}`, token)).text);
    expect(await asked("giant")).toMatchObject({
      when: { place, unknown: expect.stringMatching(/^no node that it may use is large enough/) },
      change: { parts: [{ type: "node", more: { cpu: 96_000 } }] },
    });
    const fake = { duration: "1h" };
    await tenant.task("fills", { requests: { cpu: "4" }, fake, spec: { durationSeconds: 3_600 } });
    const { startedAt } = await tenant.until("fills", "to run", ({ state }) => state === "Running");
    await tenant.task("next", { requests: { cpu: "3" }, fake: { duration: "100ms" } });
    await tenant.waits("next", "NoNode");
    const { when, change } = await asked("next");
    expect(Date.parse(when.estimate)).toBe(Date.parse(startedAt) + 3_600_000);
    expect(change.text).toMatch(/^3 cpu more on node /);
    await tenant.patchTask("fills", { kill: {} });
    await tenant.ended("next");
  });

  test("is for those who may see the object; to all others it does not exist", async () => {
    const stranger = await tokenIn("strangers");
    const hidden = await ask(leader, "/explain/task/waits/giant", stranger);
    const absent = await ask(leader, "/explain/task/waits/absent", stranger);
    expect([hidden.status, absent.status]).toEqual([404, 404]);
    expect(JSON.parse(hidden.text).code).toBe(JSON.parse(absent.text).code);
    expect((await ask(leader, "/explain/task/waits/giant")).status).toBe(401);
  });

  test("has a reason of the closed list, in every condition", async () => {
    const known = new Set(
      Object.keys(REASONS).map((reason) => reason.replace(/(^|-)(.)/g, (_, __, c) => c.toUpperCase())),
    );
    const kinds = ["tasks", "frameworks", "queues"];
    const lists = await Promise.all(kinds.map((kind) => site.cluster.api.get(`/apis/proffer.dev/v1alpha1/${kind}`)));
    const waiting = lists
      .flatMap(({ items }: Json) => items)
      .flatMap(({ status }: Json) => status?.conditions ?? [])
      .filter(({ type }: Json) => type === "Waiting");
    expect(waiting.length).toBeGreaterThan(0);
    for (const { reason } of waiting) expect(known).toContain(reason);
  });

  test("an instance that fails is an event of its Task, and no two events say the same", async () => {
    await tenant.task("fails", {
      instances: 4,
      fake: { "exit-code": "3" },
      spec: { retry: { limit: 0, backoffSeconds: 1 } },
    });
    expect((await tenant.ended("fails")).state).toBe("Failed");
    const events = await eventually(
      "its events",
      async () => (await tenant.api.get("/apis/events.k8s.io/v1/namespaces/waits/events")).items,
      (items) => items.some(({ regarding }: Json) => regarding.name === "fails"),
    );
    const own = events.filter(({ regarding }: Json) => regarding.name === "fails");
    expect(new Set(own.map(({ note }: Json) => note)).size).toBe(own.length);
    expect(own.length).toBeLessThanOrEqual(4);
    expect(own[0]).toMatchObject({
      regarding: { kind: "Task", namespace: "waits" },
      type: "Warning",
      reason: "ExitCode",
      note: expect.stringContaining("failed"),
      reportingController: "proffer.dev/operator",
    });
  });
});
