/** What is wrong with a cluster, an account or a release is one sentence where somebody looks for it, and leaves nothing half done. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { NODE_FLAGS } from "../../tools/build.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { ensureHelm } from "../../tools/cluster/helm-kubectl.ts";
import { writeKubeconfig } from "../../tools/cluster/kubeconfig.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { freePorts } from "../../tools/cluster/ports.ts";
import { installChart, RELEASE } from "../../tools/operator/install-chart.ts";
import { type OperatorProcess, startOperator } from "../../tools/operator/start-operator.ts";
import { eventually } from "./support/eventually.ts";
import { needs } from "./support/site.ts";

const run = promisify(execFile);
const ROOT = new URL("../..", import.meta.url).pathname;
const CHART = join(ROOT, "charts/proffer");
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const NAMES = ["queues", "frameworks", "tasks", "offers"].map((plural) => `${plural}.proffer.dev`);

let cluster: Cluster;
let helm: string;
beforeAll(async () => {
  [cluster, helm] = [await openCluster(), await ensureHelm()];
});
afterAll(() => cluster?.stop());
needs(() => cluster, "anyUser", "processes");

interface Outcome {
  readonly code: number;
  /** Lines of both streams. */
  readonly said: readonly string[];
}

async function outcome(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const lines = (text: string) => text.trim().split("\n");
  try {
    const { stdout, stderr } = await run(program, args, { env: { ...process.env, ...env } });
    return { code: 0, said: lines(stdout + stderr) };
  } catch (error) {
    const { code = -1, stdout = "", stderr = "" } = error as { code?: number; stdout?: string; stderr?: string };
    return { code, said: lines(stdout + stderr) };
  }
}

const program = (source: string, ...args: string[]) =>
  outcome(process.execPath, [...NODE_FLAGS, join(ROOT, source), ...args]);
const install = (args: readonly string[], kubeconfig = cluster.kubeconfigPath) =>
  outcome(helm, ["install", ...args], { KUBECONFIG: kubeconfig });
const elsewhere = [CHART, "--namespace", "elsewhere", "--create-namespace"];
const nowhere = async () => expect(await cluster.api.find("/api/v1/namespaces/elsewhere")).toBeUndefined();

/** A kubeconfig that is wrong in one way. */
function kubeconfig(name: string, url: string, token: string): string {
  const path = join(cluster.dir, `${name}.kubeconfig`);
  writeKubeconfig(path, url, cluster.ca, name, { token });
  return path;
}
const unreachable = async () => {
  const [port] = await freePorts(1);
  return { port, path: kubeconfig("unreachable", `https://127.0.0.1:${port}`, cluster.adminToken) };
};
const expired = () => kubeconfig("expired", cluster.url, "a-token-that-has-ended");

let operators: OperatorProcess[] = [];
afterEach(async () => {
  await Promise.all(operators.map((operator) => operator.stop()));
  operators = [];
});
async function operator(...args: string[]): Promise<OperatorProcess> {
  const started = await startOperator(cluster, { args });
  operators.push(started);
  return started;
}
const warnings = (of: OperatorProcess) =>
  of
    .log()
    .filter(({ level }) => level === "warn" || level === "error")
    .map(({ msg }) => String(msg));
const says = (of: OperatorProcess, line: string | RegExp) =>
  eventually(
    `the operator says ${line}`,
    async () => warnings(of),
    (lines) => lines.some((said) => (typeof line === "string" ? said.includes(line) : line.test(said))),
  );
const ready = async (of: OperatorProcess) => (await fetch(`${of.url}/readyz`)).status === 200;
const leads = (of: OperatorProcess) => eventually("it leads or stands by", () => ready(of), Boolean);

describe("helm install", () => {
  test("with wrong values is refused, and nothing is made", async () => {
    const { code, said } = await install(["proffer", ...elsewhere, "--set", "replicas=0"]);
    expect(code).not.toBe(0);
    expect(said.join("\n")).toMatch(/at '\/replicas': minimum: got 0, want 1/);
    await nowhere();
  });

  test.each([
    ["an API server out of reach", async () => (await unreachable()).path, /cluster unreachable: .*connection refused/],
    ["a token that has ended", async () => expired(), /asked for the client to provide credentials/],
  ])("on %s says so", async (_, file, says) => {
    const { code, said } = await install(["proffer", ...elsewhere], await file());
    expect(code).not.toBe(0);
    expect(said.at(-1)).toMatch(says);
  });

  test.each([
    {
      who: "who may look and not write",
      verbs: ["get", "list", "watch"],
      says: /clusterroles?.* "mine-proffer-may-install" is forbidden/,
    },
    { who: "who has rights in one namespace", verbs: [], says: /is forbidden: User "[^"]+" cannot get resource/ },
  ])("by somebody $who fails before anything is made", async ({ who, verbs, says }) => {
    const user = who.replaceAll(" ", "-");
    const namespace = `of-${user}`;
    await cluster.api.create("/api/v1/namespaces", { metadata: { name: namespace } });
    const role = (kind: string, allowed: readonly string[]) => ({
      metadata: { name: user },
      rules: [{ apiGroups: ["*"], resources: ["*"], verbs: allowed }],
      kind,
    });
    const bind = (kind: string) => ({
      metadata: { name: user },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: user },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }],
    });
    await cluster.api.create(`${RBAC}/namespaces/${namespace}/roles`, role("Role", ["*"]));
    await cluster.api.create(`${RBAC}/namespaces/${namespace}/rolebindings`, bind("Role"));
    if (verbs.length > 0) {
      await cluster.api.create(`${RBAC}/clusterroles`, role("ClusterRole", verbs));
      await cluster.api.create(`${RBAC}/clusterrolebindings`, bind("ClusterRole"));
    }
    const own = await cluster.kubeconfigFor({ user });
    const { code, said } = await install(["mine", CHART, "--namespace", namespace], own);
    expect(code).not.toBe(0);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(says);
    for (const path of ["apis/apps/v1", "api/v1"].map((group) => `/${group}/namespaces/${namespace}`)) {
      const made = path.includes("apps") ? "deployments" : "serviceaccounts";
      expect((await cluster.api.get(`${path}/${made}`)).items).toEqual([]);
    }
    for (const name of NAMES) expect(await cluster.api.find(`${CRDS}/${name}`)).toBeUndefined();
  });
});

describe("a second release", () => {
  beforeAll(() => installChart(cluster));

  test.each([
    { name: "under another name", args: ["second", ...elsewhere] },
    { name: "in another namespace", args: ["proffer", ...elsewhere] },
    { name: "without definitions", args: ["second", ...elsewhere, "--set", "crds.install=false"] },
    { name: "that takes what is there", args: ["second", ...elsewhere, "--take-ownership"] },
  ])("$name is refused with the name of the first, and nothing is made", async ({ args }) => {
    const { code, said } = await install(args);
    expect(code).not.toBe(0);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(
      "Proffer is installed in this cluster already, as release proffer in namespace proffer-system, and there is one in a cluster",
    );
    await nowhere();
  });
});

describe("programs", () => {
  const commands: [string, string[]][] = [
    ["src/main.ts", ["release-finalizers", "--namespace", RELEASE.namespace]],
    ["src/cli/main.ts", ["get", "tasks"]],
    ["src/cli/main.ts", ["run", "--framework", "fw"]],
    ["src/cli/main.ts", ["explain", "task", "t"]],
    ["src/cli/main.ts", ["top"]],
    ["src/frameworks/bag-of-tasks/main.ts", ["--name", "bag", "--count", "1"]],
  ];
  const withConfig = (args: string[], path: string) =>
    args[0] === "run" ? [...args, "--kubeconfig", path, "--", "true"] : [...args, "--kubeconfig", path];

  test.concurrent.each(commands)(
    "%s %j: the API server is out of reach, and the token has ended",
    async (source, args) => {
      const { path } = await unreachable();
      const out = await program(source, ...withConfig(args, path));
      expect(out).toEqual({
        code: 1,
        said: [expect.stringMatching(/the API server.* cannot be reached.*ECONNREFUSED/)],
      });
      const refused = await program(source, ...withConfig(args, expired()));
      expect(refused).toEqual({
        code: 1,
        said: [expect.stringMatching(/the API server.* does not accept (your|the) credentials/)],
      });
    },
  );

  test("a framework whose account has no rights says which, and makes nothing", async () => {
    await cluster.api.create("/api/v1/namespaces", { metadata: { name: "powerless" } });
    await cluster.api.create("/api/v1/namespaces/powerless/serviceaccounts", { metadata: { name: "nobody" } });
    const own = await cluster.serviceAccountKubeconfig("powerless", "nobody");
    const where = ["--namespace", "powerless", "--kubeconfig", own];
    const { code, said } = await program(
      "src/frameworks/bag-of-tasks/main.ts",
      "--name",
      "bag",
      "--count",
      "1",
      ...where,
    );
    expect({ code, said }).toEqual({
      code: 1,
      said: [
        expect.stringMatching(
          /^the API server answers 403 Forbidden: frameworks\.proffer\.dev .*User "system:serviceaccount:powerless:nobody" cannot (get|create) resource "frameworks"/,
        ),
      ],
    });
  });
});

describe("an operator", () => {
  const definitions = async () => Promise.all(NAMES.map((name) => cluster.api.get(`${CRDS}/${name}`)));
  const apply = async ({ metadata: { name, labels, annotations }, spec, apiVersion, kind }: Json) =>
    cluster.api.create(CRDS, { apiVersion, kind, metadata: { name, labels, annotations }, spec });

  test("that cannot reach the API server says so once, and waits", async () => {
    const { port, path } = await unreachable();
    const waits = await operator("--kubeconfig", path);
    const line = `the API server at https://127.0.0.1:${port} cannot be reached: ECONNREFUSED; trying again`;
    await says(waits, line);
    expect(warnings(waits)).toEqual([line]);
    expect(await ready(waits)).toBe(false);
  });

  test("whose token has ended says so once, and begins when there is a valid one", async () => {
    const path = expired();
    const waits = await operator("--kubeconfig", path);
    const line = `the API server at ${cluster.url} does not accept the credentials (401); trying again`;
    await says(waits, line);
    expect(warnings(waits)).toEqual([line]);
    const token = await cluster.requestToken(RELEASE.namespace, RELEASE.name);
    kubeconfig("expired", cluster.url, token);
    await leads(waits);
    expect(warnings(waits)).toEqual([line]);
  });

  test("whose token ends while it leads says why in one line, leads no more, and goes on with another token", async () => {
    const account = `/api/v1/namespaces/${RELEASE.namespace}/serviceaccounts`;
    const object = await cluster.api.get(`${account}/${RELEASE.name}`);
    const { name, labels, annotations } = object.metadata;
    const token = await cluster.requestToken(RELEASE.namespace, RELEASE.name);
    const path = kubeconfig("ends", cluster.url, token);
    const ends = await operator("--kubeconfig", path);
    await leads(ends);
    // A token is as good as its account.
    await cluster.api.delete(`${account}/${name}`);
    await says(ends, "this process does not lead any more");
    const line = `the lease could not be had or renewed: the API server at ${cluster.url} does not accept the credentials (401); trying again`;
    expect(warnings(ends).filter((said) => said.includes("lease"))).toEqual([line]);
    await cluster.api.create(account, { metadata: { name, labels, annotations } });
    kubeconfig("ends", cluster.url, await cluster.requestToken(RELEASE.namespace, RELEASE.name));
    const terms = () => ends.log().filter(({ msg }) => msg === "this process leads now").length;
    await eventually(
      "it leads again",
      async () => terms(),
      (count) => count === 2,
    );
  });

  test("without definitions says so, and begins once they are there", async () => {
    const before = await definitions();
    await Promise.all(NAMES.map((name) => cluster.api.delete(`${CRDS}/${name}`)));
    await eventually(
      "they are gone",
      () => Promise.all(NAMES.map((name) => cluster.api.find(`${CRDS}/${name}`))),
      (found) => found.every((one) => one === undefined),
    );
    const waits = await operator();
    await says(waits, /custom resource definition.* not installed: install the chart first; trying again/);
    expect(await ready(waits)).toBe(false);
    for (const definition of before) await apply(definition);
    await leads(waits);
  });

  test("that is newer than the definitions says which fields they lack, and begins once they have them", async () => {
    const path = `${CRDS}/tasks.proffer.dev`;
    const before = await cluster.api.get(path);
    const [version] = structuredClone(before.spec.versions);
    const { spec, status } = version.schema.openAPIV3Schema.properties;
    delete status.properties.why;
    delete spec.properties.retry.properties.onNodeLost;
    await cluster.api.patch(path, { spec: { versions: [version] } });
    const waits = await operator();
    const line =
      "the custom resource definition tasks.proffer.dev is older than this operator: v1alpha1 has no spec.retry.onNodeLost, status.why; apply the definitions of the operator's version (the chart, or crds/); trying again";
    await says(waits, "is older than this operator");
    expect(warnings(waits)).toEqual([line]);
    expect(await ready(waits)).toBe(false);
    await cluster.api.patch(path, { spec: { versions: before.spec.versions } });
    await leads(waits);
    expect(warnings(waits)).toEqual([line]);
  });
});
