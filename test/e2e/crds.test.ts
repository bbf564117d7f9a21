import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_VERSION, GROUP } from "../../src/api/common.ts";
import { definitions } from "../../src/api/definitions.ts";
import { type Example, framework, offer, offerSpec, queue, task } from "../../src/api/object-builders.test-support.ts";
import { examples } from "../../src/api/objects.test-support.ts";
import { templateExamples } from "../../src/api/templates.test-support.ts";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { ensureHelm, ensureKubectl } from "../../tools/cluster/helm-kubectl.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { crdOf } from "../../tools/generate/crd.ts";

const root = join(import.meta.dirname, "../..");
const namespace = "crds";
let cluster: Cluster;
let kubectl: (args: string[], input?: string) => string;

beforeAll(async () => {
  cluster = await openCluster();
  const program = await ensureKubectl();
  kubectl = (args, input = "") =>
    execFileSync(program, ["--kubeconfig", cluster.kubeconfigPath, ...args], {
      encoding: "utf8",
      input,
      stdio: "pipe",
    });
});

afterAll(async () => {
  await cluster?.stop();
});

/** The collection of an object's kind. */
function collectionOf(kind: string): string {
  const { scope, plural } = definitions.find((definition) => definition.kind === kind)!;
  return `/apis/${API_VERSION}${scope === "Cluster" ? "" : `/namespaces/${namespace}`}/${plural}`;
}

const create = (object: Example["object"]): Promise<Json> => cluster.api.create(collectionOf(object.kind), object);

/** What the API server says to a request: "" when it is granted. */
const refusal = (request: Promise<unknown>): Promise<string> =>
  request.then(
    () => "",
    (error: Error) => error.message,
  );

describe("the definitions", () => {
  test("are taken by the API server without a warning, and established", async () => {
    kubectl(["apply", "--server-side", "--warnings-as-errors", "-f", join(root, "crds")]);
    const names = definitions.map(({ plural }) => `crd/${plural}.${GROUP}`);
    kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...names]);
    kubectl(["create", "namespace", namespace]);
    for (const name of names) {
      const crd = JSON.parse(kubectl(["get", name, "-o", "json"]));
      const conditions = crd.status.conditions.map((c: Json) => `${c.type}=${c.status}`).sort();
      expect(conditions).toEqual(["Established=True", "NamesAccepted=True"]);
    }
  });

  test("are small enough for client-side apply, which keeps a copy in an annotation", () => {
    for (const definition of definitions) {
      expect(JSON.stringify(crdOf(definition)).length).toBeLessThan(262_144);
    }
  });

  test("come out of the chart the same, but for labels and the order to keep them", async () => {
    const chart = join(root, "charts/proffer");
    const rendered = execFileSync(await ensureHelm(), ["template", "proffer", chart, "--namespace", "proffer"], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    const present = kubectl(
      ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-o", "json", "-f", "-"],
      crdsOf(rendered),
    );
    const items = JSON.parse(present).items as Json[];
    expect(items.length).toBe(definitions.length);
    for (const item of items) {
      expect(item.metadata.annotations["helm.sh/resource-policy"]).toBe("keep");
      const stored = await cluster.api.get(
        `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${item.metadata.name}`,
      );
      expect(item.spec).toEqual(stored.spec);
    }
  });
});

/** The definitions among the documents of a rendered chart. */
function crdsOf(rendered: string): string {
  return rendered
    .split(/^---$/m)
    .filter((document) => /^kind: CustomResourceDefinition$/m.test(document))
    .join("\n---\n");
}

describe("the API server", () => {
  test.each([...examples, ...templateExamples])("says: $name", async ({ object, refused }) => {
    const path = `${collectionOf(object.kind)}?dryRun=All&fieldValidation=Strict`;
    const answer = await refusal(cluster.api.create(path, object));
    if (refused === undefined) expect(answer).toBe("");
    else expect(answer).toMatch(refused);
  });

  test("fills in every default", async () => {
    const made = await create(framework({}, "defaults"));
    expect(made.spec).toEqual({
      queues: [{ name: "default", weight: 1 }],
      scheduler: { type: "Builtin" },
      concurrency: "Exclusive",
      offers: { timeoutSeconds: 30, maxOutstanding: 16, slack: 2 },
      suppressed: false,
      unreachableSeconds: 60,
      failoverTimeoutSeconds: 3600,
      failoverPolicy: "Orphan",
    });
    const racing = { scheduler: { type: "Offers" }, concurrency: "Optimistic", answerers: ["anna"], optimistic: {} };
    const { optimistic } = (await create(framework(racing, "races"))).spec;
    expect(optimistic).toEqual({ conflict: "ResourceFit", transaction: "Incremental" });
    expect((await create(queue({}, "defaults"))).spec).toEqual({ weight: 1, order: "DominantShare" });
  });

  test("shows a state before the operator has written one", async () => {
    await create(task({}, "fresh"));
    const read = await cluster.api.get(`${collectionOf("Task")}/fresh`);
    expect(read.status).toEqual({ state: "Pending" });
    await create(offer({}, undefined, "fresh"));
    expect((await cluster.api.get(`${collectionOf("Offer")}/fresh`)).status).toEqual({ phase: "Open" });
  });

  test("selects offers and tasks by their framework", async () => {
    await create(offer({ framework: "other" }, undefined, "of-other"));
    const selector = "fieldSelector=spec.framework%3Dother";
    const { items } = await cluster.api.get(`${collectionOf("Offer")}?${selector}`);
    expect(items.map((item: Json) => item.metadata.name)).toEqual(["of-other"]);
    expect((await cluster.api.get(`${collectionOf("Task")}?${selector}`)).items).toEqual([]);
  });
});

describe("a task that exists", () => {
  const only = "only kill, priority and parallelism may change";
  const patch = (spec: Json) => refusal(cluster.api.patch(`${collectionOf("Task")}/existing`, { spec }));

  beforeAll(() => create(task({ instances: 3, retry: { limit: 1 } }, "existing")));

  test.each([
    { name: "may get another priority", spec: { priority: 10 }, refused: "" },
    { name: "may lose its priority", spec: { priority: null }, refused: "" },
    { name: "may get another parallelism", spec: { parallelism: 1 }, refused: "" },
    { name: "may be killed in part", spec: { kill: { indexes: "0" } }, refused: "" },
    { name: "may be killed as a whole after that", spec: { kill: { indexes: null } }, refused: "" },
    { name: "keeps its number of instances", spec: { instances: 4 }, refused: only },
    { name: "keeps its template", spec: { template: { spec: { activeDeadlineSeconds: 1 } } }, refused: only },
    { name: "keeps its framework", spec: { framework: "other" }, refused: only },
    { name: "states no duration later", spec: { durationSeconds: 60 }, refused: only },
    { name: "gets no queue later", spec: { queue: "other" }, refused: only },
    { name: "keeps its retries", spec: { retry: { limit: 2 } }, refused: only },
    { name: "does not lose its retries", spec: { retry: null }, refused: only },
    { name: "gets no constraints later", spec: { constraints: { nodeSelector: { a: "b" } } }, refused: only },
  ])("$name", async ({ spec, refused }) => {
    if (refused === "") expect(await patch(spec)).toBe("");
    else expect(await patch(spec)).toMatch(refused);
  });

  test("has a status that holds the indexes of its 10,000 instances however they ended", async () => {
    const every2nd = Array.from({ length: 5_000 }, (_, index) => index * 2).join(",");
    const status = { state: "Running", succeededIndexes: every2nd, failedIndexes: "1", progress: "5000/10000" };
    expect(await refusal(cluster.api.patch(`${collectionOf("Task")}/existing/status`, { status }))).toBe("");
  });
});

describe("an offer that exists", () => {
  const answer = { by: "a", decision: "Accept", launches: [{ task: "t", slice: "s0", count: 1 }] };
  const patch = (change: Json, name = "existing") =>
    refusal(cluster.api.patch(`${collectionOf("Offer")}/${name}`, change));

  beforeAll(() => create(offer({}, undefined, "existing")));

  test("never changes", async () => {
    expect(await patch({ spec: { queue: "other" } })).toMatch("an offer never changes");
    expect(await patch({ spec: { summary: "more" } })).toMatch("an offer never changes");
    expect(await patch({ spec: { slices: [offerSpec.slices[0]] } })).toMatch("an offer never changes");
  });

  test("is answered once, and the answer stays", async () => {
    expect(await patch({ answer })).toBe("");
    expect(await patch({ answer })).toBe("");
    const once = "an offer is answered once";
    expect(await patch({ answer: { reason: "second thoughts" } })).toMatch(once);
    expect(await patch({ answer: null })).toMatch(once);
    expect(await patch({ answer: { decision: "Decline", launches: null } })).toMatch(once);
  });

  test("is not answered once it has ended, and an answer does not keep it from ending", async () => {
    await create(offer({}, undefined, "ended"));
    const end = (name: string, phase: string) =>
      refusal(cluster.api.patch(`${collectionOf("Offer")}/${name}/status`, { status: { phase } }));
    expect(await end("ended", "Expired")).toBe("");
    expect(await patch({ answer }, "ended")).toMatch("the offer has ended");
    await create(offer({}, undefined, "taken"));
    expect(await patch({ answer }, "taken")).toBe("");
    expect(await end("taken", "Accepted")).toBe("");
  });

  test("is answered by one of two that answer at once", async () => {
    const { metadata } = await create(offer({}, undefined, "contended"));
    const { resourceVersion, uid } = metadata;
    const attempts = [1, 2].map((count) =>
      patch(
        { metadata: { resourceVersion, uid }, answer: { ...answer, launches: [{ ...answer.launches[0], count }] } },
        "contended",
      ),
    );
    const said = await Promise.all(attempts);
    expect(said.filter((text) => text === "").length).toBe(1);
    expect(said.filter((text) => /409|answered once/.test(text)).length).toBe(1);
  });
});

test("`kubectl get` answers the first question of each kind", async () => {
  await create(task({ instances: 10 }, "columns"));
  const status = { state: "Running", progress: "3/10", node: "node-7", why: "in line", counts: { running: 4 } };
  await cluster.api.patch(`${collectionOf("Task")}/columns/status`, { status });
  const [header, row] = kubectl(["-n", namespace, "get", "ptask", "columns"]).split("\n");
  expect(header).toMatch(/^NAME +FRAMEWORK +STATE +RUNNING +DONE +NODE +WHY +AGE$/);
  expect(row).toMatch(/^columns +f +Running +4 +3\/10 +node-7 +in line +/);
  expect(kubectl(["-n", namespace, "get", "fw"])).toMatch(/^NAME +QUEUE +SHARE +RUNNING +PENDING +OFFERS +WHY +AGE\n/);
  expect(kubectl(["-n", namespace, "get", "pof"])).toMatch(
    /^NAME +FRAMEWORK +QUEUE +PHASE +SLICES +BACK FOR +EXPIRES +AGE\n/,
  );
  expect(kubectl(["get", "pq"])).toMatch(/^NAME +PARENT +WEIGHT +SHARE +RUNNING +PENDING +FRAMEWORKS +AGE\n/);
  expect(kubectl(["-n", namespace, "get", "proffer"])).toContain("task.proffer.dev/columns");
});
