import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { RELEASE } from "../../tools/operator/install-chart.ts";
import type { OperatorProcess } from "../../tools/operator/start-operator.ts";
import { eventually } from "./support/eventually.ts";
import { roleOf } from "./support/leadership.ts";
import { LogKubelet } from "./support/log-kubelet.ts";
import { Person } from "./support/person.ts";
import { Plugin, type PluginRun } from "./support/plugin.ts";
import { needs, Site } from "./support/site.ts";
import type { Tenant } from "./support/tenant.ts";

// `kubectl proffer`, typed by tenants: they have the built-in role `edit` in a namespace, and nothing else.

let site: Site;
let kubelet: LogKubelet;
let plugin: Plugin;
beforeAll(async () => {
  const controllers = ["clusterrole-aggregation-controller", "serviceaccount-controller"];
  // Names of fake nodes are known to nobody.
  const apiserverArgs = ["--kubelet-preferred-address-types=InternalIP"];
  site = await Site.open({ controllers, cluster: { apiserverArgs }, args: ["--http-host", "0.0.0.0"] });
  kubelet = await LogKubelet.start();
  plugin = await Plugin.build(site.cluster.dir);
});
afterAll(async () => {
  await kubelet?.close();
  await site?.close();
});
needs(() => site.cluster, "fakeKubelets", "processes", "controllerManager", "anyUser");

const FAST_RETRY = { taskDefaults: { retry: { limit: 1, backoffSeconds: 1 } } };

interface Scene {
  readonly tenant: Tenant;
  readonly person: Person;
  run(...args: string[]): PluginRun;
}

/** A tenant with a node, a Builtin framework and somebody who may edit there. */
async function scene(namespace: string): Promise<Scene> {
  const tenant = await site.tenant(namespace);
  await kubelet.serves(site.cluster, await tenant.nodes("cpu=4,memory=8Gi"));
  await tenant.framework(FAST_RETRY);
  const person = await Person.in(site.cluster, namespace, "somebody", "edit");
  const here = ["--name", "t", "--node-selector", `test/pool=${namespace}`, "--cpu", "1"];
  const run = (...args: string[]) => plugin.start(person.kubeconfig, namespace, "run", ...here, ...args);
  return { tenant, person, run };
}

/** Waits until an attempt runs; returns its pod's name. */
async function runs(tenant: Tenant, index: number, attempt = 0): Promise<string> {
  const is = ({ metadata, status }: Json) =>
    metadata.labels["proffer.dev/index"] === `${index}` &&
    metadata.labels["proffer.dev/attempt"] === `${attempt}` &&
    status.phase === "Running";
  const pods = await tenant.podsUntil(`${index}.${attempt} runs`, (all) => all.some(is), "t");
  return pods.find(is).metadata.name;
}

/** A container ends, as a kubelet would tell it. */
async function ends(tenant: Tenant, pod: string, exitCode: number): Promise<void> {
  kubelet.end(pod);
  const { status } = await tenant.api.get(tenant.podPath(pod));
  const now = new Date().toISOString();
  const terminated = {
    exitCode,
    reason: exitCode === 0 ? "Completed" : "Error",
    startedAt: status.startTime,
    finishedAt: now,
  };
  const containerStatuses = [{ ...status.containerStatuses[0], ready: false, state: { terminated } }];
  const phase = exitCode === 0 ? "Succeeded" : "Failed";
  await tenant.api.patch(`${tenant.podPath(pod)}/status`, { status: { phase, containerStatuses } });
}

describe("run", () => {
  test("shows the logs of all instances, tries again, and ends with the exit code of the worst", async () => {
    const { tenant, run } = await scene("worst");
    const it = run("-n", "2", "--", "work");
    const [zero, one] = [await runs(tenant, 0), await runs(tenant, 1)];
    kubelet.say(zero, "from zero");
    kubelet.say(one, "from one");
    await it.says("[0] from zero");
    await it.says("[1] from one");
    await ends(tenant, zero, 3);
    const again = await runs(tenant, 0, 1);
    kubelet.say(again, "again");
    await it.says("[0.1] again");
    await ends(tenant, again, 0);
    await ends(tenant, one, 5);
    await ends(tenant, await runs(tenant, 1, 1), 7);
    const { code, out, notes } = await it.ended;
    expect(code).toBe(7);
    expect([...out].sort()).toEqual(["[0.1] again", "[0] from zero", "[1] from one"]);
    expect(notes).toContainEqual(expect.stringMatching(/^instance 1: exit code 7 on worst-0000$/));
    expect(notes.at(-1)).toMatch(/^task t: Failed \(1\/2 succeeded\)/);
    expect((await tenant.status("t")).state).toBe("Failed");
  });

  test("loses and doubles no line when connections break and the API server restarts", async () => {
    const { tenant, run } = await scene("breaks");
    const it = run("--rm", "--", "work");
    const pod = await runs(tenant, 0);
    const expected: string[] = [];
    const say = async (text: string) => {
      kubelet.say(pod, text);
      expected.push(`[0] ${text}`);
      await it.says(`[0] ${text}`);
    };
    await say("one");
    await say("two");
    kubelet.break();
    await say("three");
    await site.cluster.processes.restart("kube-apiserver");
    await say("four");
    kubelet.say(pod, "five");
    expected.push("[0] five");
    await ends(tenant, pod, 0);
    const { code, out } = await it.ended;
    expect({ code, out }).toEqual({ code: 0, out: expected });
    expect(kubelet.requests.filter((request) => request.pod === pod).length).toBeGreaterThan(2);
    expect(await tenant.api.find(tenant.path("tasks", "t"))).toBeUndefined();
  });

  test("kills everything on Ctrl-C and waits for the end; a second one leaves at once", async () => {
    const { tenant, run } = await scene("killed");
    const it = run("-n", "2", "--", "work");
    await runs(tenant, 0);
    await runs(tenant, 1);
    await it.says(/^task t created/);
    it.signal("SIGINT");
    expect((await it.ended).code).toBe(130);
    expect(await tenant.status("t")).toMatchObject({ state: "Killed", counts: { killed: 2, running: 0 } });
    await tenant.api.delete(tenant.path("tasks", "t"));
    const stays = run("--annotation", "fake-kubelet/stop=grace", "--", "work");
    await runs(tenant, 0);
    await stays.says(/^task t created/);
    stays.signal("SIGINT");
    await tenant.until("t", "to be killed", ({ state }) => state === "Killing");
    stays.signal("SIGINT");
    expect((await stays.ended).code).toBe(130);
  });

  test("says what it waits for, and when somebody else deletes the Task", async () => {
    const { tenant, run } = await scene("waits");
    const it = run("--cpu", "100", "--", "work");
    await it.says(/^waiting \(NoNode\): .*insufficient cpu \(needs 100, largest free 4\)/);
    await tenant.api.delete(tenant.path("tasks", "t"));
    const { code, notes } = await it.ended;
    expect(code).toBe(1);
    expect(notes.at(-1)).toBe("error: task t was deleted by somebody else: its pods end with it");
  });

  test("detached leaves at once with the Task's name, and the name is taken then", async () => {
    const { tenant, run } = await scene("detached");
    expect(await run("--detach", "--", "work").ended).toMatchObject({ code: 0, out: ["task.proffer.dev/t"] });
    await runs(tenant, 0);
    const { code, notes } = await run("--", "work").ended;
    expect([code, ...notes]).toEqual([1, expect.stringContaining("error: there is a task t already")]);
  });
});

describe("what there is", () => {
  let it: Scene;
  beforeAll(async () => {
    it = await scene("shown");
    await it.tenant.task("small", { instances: 2 });
    await it.tenant.task("giant", { requests: { cpu: "100" } });
    await it.tenant.waits("giant", "NoNode");
    await it.tenant.counts("small", { running: 2 });
  });
  const of = (...args: string[]) => plugin.run(it.person.kubeconfig, "shown", ...args);

  test("is shown with kubectl's own columns", async () => {
    const cells = (lines: readonly string[]) => lines.map((line) => line.split(/ {2,}/).slice(0, -1));
    for (const kind of ["tasks", "frameworks"]) {
      const { code, out } = await of("get", kind);
      const theirs = (await it.person.kubectl("get", `${kind}.proffer.dev`)).split("\n").filter(Boolean);
      // The last column is the age, which moves on.
      expect([code, cells(out)]).toEqual([0, cells(theirs)]);
    }
  });

  test("is shown to tenants as far as they may see it", async () => {
    const { code, out, notes } = await of("get");
    expect(code).toBe(0);
    expect(out.some((line) => /^task\/small +fw +Running +2/.test(line))).toBe(true);
    expect(out.some((line) => line.startsWith("framework/fw "))).toBe(true);
    expect(notes).toEqual([expect.stringMatching(/^queues are left out: .*cannot list resource "queues"/)]);
    const elsewhere = await plugin.run(it.person.kubeconfig, "kube-system", "get", "tasks");
    expect([elsewhere.code, ...elsewhere.notes]).toEqual([
      1,
      expect.stringMatching(/^error: .* cannot list resource "tasks"/),
    ]);
    expect(await of("get", "task", "absent")).toMatchObject({
      code: 1,
      notes: ["error: there is no task absent in namespace shown"],
    });
  });

  test("is what kubectl has, as YAML and JSON", async () => {
    const { out } = await of("get", "task", "small", "-o", "json");
    const { managedFields: _, ...metadata } = (await it.person.get("task.proffer.dev", "small")).metadata;
    expect(JSON.parse(out.join("\n")).metadata).toMatchObject({ uid: metadata.uid, name: "small" });
    expect(
      (await of("get", "tasks", "-o", "yaml")).out.filter((line) => / name: (small|giant)$/.test(line)),
    ).toHaveLength(2);
  });

  test("is added up: frameworks for tenants, nodes for those who may list them", async () => {
    const frameworks = await of("top");
    expect(frameworks.out.map((line) => line.split(/ +/).filter((_, at) => at !== 2))).toContainEqual([
      "fw",
      "default",
      "cpu",
      "2",
      "0",
      "0",
      "100",
    ]);
    const refused = await of("top", "nodes");
    expect([refused.code, ...refused.notes]).toEqual([1, expect.stringMatching(/^error: .*cannot list resource/)]);
    const looker = await site.cluster.kubeconfigFor({ user: "looker", groups: ["lookers"] });
    await mayLook("lookers");
    const nodes = await plugin.run(looker, "shown", "top", "nodes");
    const line = nodes.out.find((one) => /^shown-0000 +cpu /.test(one));
    expect(line?.split(/ +/)).toEqual(["shown-0000", "cpu", "4", "2", "0", "2", "50.0%"]);
    const queues = await plugin.run(looker, "shown", "top", "queues");
    expect(queues.out.some((one) => /^default +\S+ +cpu /.test(one))).toBe(true);
  });
});

/** Lets a group list what `top` counts, in the whole cluster. */
async function mayLook(group: string): Promise<void> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  await site.cluster.api.create(`${rbac}/clusterroles`, {
    metadata: { name: "looker" },
    rules: [
      { apiGroups: [""], resources: ["nodes", "pods"], verbs: ["list"] },
      { apiGroups: ["proffer.dev"], resources: ["queues", "offers"], verbs: ["list"] },
    ],
  });
  await site.cluster.api.create(`${rbac}/clusterrolebindings`, {
    metadata: { name: "lookers" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "looker" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group }],
  });
}

/** An address of this machine that a Service may have as an endpoint; loopback addresses may not. */
const address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

describe.skipIf(address === undefined)("explain", () => {
  let it: Scene;
  let operators: OperatorProcess[];
  const note = /^the operator could not be asked: (.*); this is what the task's status says$/;
  const explain = (kubeconfig: string, name: string) => plugin.run(kubeconfig, "asked", "explain", "task", name);

  beforeAll(async () => {
    operators = [site.operator, await site.startOperator()];
    await behindService(operators);
    it = await scene("asked");
    await it.tenant.task("giant", { requests: { cpu: "100" } });
    await it.tenant.waits("giant", "NoNode");
  });

  test("is the leader's own answer, asked through the API server with a tenant's token", async () => {
    expect((await Promise.all(operators.map(roleOf))).sort()).toEqual(["leader", "standby"]);
    const { code, out, notes } = await explain(it.person.kubeconfig, "giant");
    expect({ code, notes }).toEqual({ code: 0, notes: [] });
    expect(out[0]).toBe("Task asked/giant: Pending");
    expect(out.join()).toMatch(/Why: +no-node: .*insufficient cpu \(needs 100, largest free 4\)/);
    const framework = await plugin.run(it.person.kubeconfig, "asked", "explain", "framework", "fw", "-o", "json");
    expect(JSON.parse(framework.out.join(""))).toMatchObject({ kind: "Framework", name: "fw", demand: { cpu: "100" } });
  });

  test("tells nobody what they may not see", async () => {
    await site.namespace("curious");
    const stranger = await Person.in(site.cluster, "curious", "stranger", "edit");
    const hidden = await explain(stranger.kubeconfig, "giant");
    expect([hidden.code, ...hidden.out]).toEqual([1]);
    expect(hidden.notes.join()).toContain('cannot get resource "tasks"');
    const token = await site.cluster.requestToken("curious", "stranger");
    const path = `/api/v1/namespaces/${RELEASE.namespace}/services/http:proffer:http/proxy/explain/task/asked/giant`;
    // Which of the pods is asked is up to chance; the standby tells nothing at all.
    const ask = (headers: Record<string, string>) =>
      eventually(
        "the leader is asked",
        () => proxied(path, { authorization: `Bearer ${token}`, ...headers }),
        (status) => status !== 503,
      );
    // The proxy lets everybody through who is somebody, and the operator asks for a token of its own.
    expect(await ask({})).toBe(401);
    expect(await ask({ "proffer-authorization": `Bearer ${token}` })).toBe(404);
  });

  test("is what the status says to those who log in with a certificate, and while no operator runs", async () => {
    const binding = {
      metadata: { name: "certified" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" },
    };
    const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "certified" }];
    await site.cluster.api.create("/apis/rbac.authorization.k8s.io/v1/namespaces/asked/rolebindings", {
      ...binding,
      subjects,
    });
    const certified = await explain(await site.cluster.kubeconfigFor({ user: "certified" }), "giant");
    expect(certified.code).toBe(0);
    expect(note.exec(certified.notes[0] ?? "")?.[1]).toContain("your credentials have none");
    expect(certified.out.join()).toMatch(/Why: +no-node: .*insufficient cpu/);
    await Promise.all(operators.map((operator) => operator.stop()));
    const alone = await explain(it.person.kubeconfig, "giant");
    expect(alone.code).toBe(0);
    expect(alone.notes).toEqual([expect.stringMatching(note)]);
    expect(alone.out.join()).toMatch(/Why: +no-node: .*insufficient cpu/);
  });
});

/** What the API server answers on a path, as a status alone. The authority is the test's own. */
async function proxied(path: string, headers: Record<string, string>): Promise<number> {
  const { Agent, request } = await import("undici");
  const dispatcher = new Agent({ connect: { ca: site.cluster.ca } });
  const { statusCode, body } = await request(`${site.cluster.url}${path}`, { headers, dispatcher });
  await body.dump();
  await dispatcher.close();
  return statusCode;
}

/** The chart's Service with these operators behind it, each in a pod that stands in for it. */
async function behindService(operators: readonly OperatorProcess[]): Promise<void> {
  const { api } = site.cluster;
  const core = `/api/v1/namespaces/${RELEASE.namespace}`;
  const subsets: Json[] = [];
  for (const [at, { url }] of operators.entries()) {
    const name = `operator-${at}`;
    await api.create(`${core}/pods`, {
      metadata: { name },
      spec: { containers: [{ name: "operator", image: "proffer" }] },
    });
    await api.patch(`${core}/pods/${name}/status`, { status: { podIP: address, podIPs: [{ ip: address }] } });
    const targetRef = { kind: "Pod", namespace: RELEASE.namespace, name };
    subsets.push({
      addresses: [{ ip: address, targetRef }],
      ports: [{ name: "http", port: Number(new URL(url).port) }],
    });
  }
  await api.create(`${core}/services`, {
    metadata: { name: RELEASE.name },
    spec: { ports: [{ name: "http", port: 8080, targetPort: "http" }] },
  });
  await api.create(`${core}/endpoints`, { metadata: { name: RELEASE.name }, subsets });
  const ready = async () => (await api.find(`${core}/endpoints/${RELEASE.name}`)) !== undefined;
  await eventually("the Service has its endpoints", ready, Boolean);
}
