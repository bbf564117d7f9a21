import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { framework, offer, queue, task } from "../../src/api/object-builders.test-support.ts";
import type { ApiClient, Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { waitFor } from "../../tools/cluster/wait.ts";
import { installChart, RELEASE } from "../../tools/operator/install-chart.ts";
import { ADMINISTRATORS, marks, owner, People, probed, refusal } from "./admission.test-support.ts";

// Guards the chart's ValidatingAdmissionPolicies and roles (threats T1, T9): each rule is shown to refuse, on a real API server,
// what it is there for. Where a role refuses already, the administrator tries it, whom only the policy can hold.

const release = RELEASE.namespace;
const namespace = "team-a";
const user = (name: string, where = namespace) => `system:serviceaccount:${where}:${name}`;
const controllers = [
  user("generic-garbage-collector", "kube-system"),
  user("namespace-controller", "kube-system"),
  "system:kube-controller-manager",
];

const objects = `/apis/proffer.dev/v1alpha1`;
const [frameworks, tasks, offers] = ["frameworks", "tasks", "offers"].map(
  (plural) => `${objects}/namespaces/${namespace}/${plural}`,
) as [string, string, string];
const core = `/api/v1/namespaces/${namespace}`;
const pods = `${core}/pods`;
const byPolicy = (name: string) => `ValidatingAdmissionPolicy '${name}.proffer.dev'`;

const accounts = { scheduler: "edit", colleague: "edit", visitor: "view", stranger: "" };

let cluster: Cluster;
let people: People;
let admin: ApiClient;
let operator: ApiClient;
/** A framework's scheduler: may edit the namespace, and answers its offers. */
let scheduler: ApiClient;
/** May edit the namespace as well. */
let colleague: ApiClient;
let stranger: ApiClient;

beforeAll(async () => {
  cluster = await openCluster({ controllerManager: true });
  admin = cluster.api;
  people = await People.on(cluster);
  await installChart(cluster);
  people.kubectl("wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=proffer");
  people.kubectl("create", "namespace", namespace);
  const rights = ["--clusterrole=cluster-admin", `--group=${ADMINISTRATORS}`];
  people.kubectl("create", "clusterrolebinding", ADMINISTRATORS, ...rights);
  for (const [name, role] of Object.entries(accounts)) {
    people.kubectl("-n", namespace, "create", "serviceaccount", name);
    // The built-in roles: the chart's own flow into them.
    const binding = [`--clusterrole=${role}`, `--serviceaccount=${namespace}:${name}`];
    if (role !== "") people.kubectl("-n", namespace, "create", "rolebinding", name, ...binding);
  }
  operator = await people.serviceAccount(release, RELEASE.name);
  scheduler = await people.serviceAccount(namespace, "scheduler");
  colleague = await people.serviceAccount(namespace, "colleague");
  stranger = await people.serviceAccount(namespace, "stranger");
  await until("default account", async () => (await admin.find(`${core}/serviceaccounts/default`)) !== undefined);
  // The probes of the operator, as the templates describe them.
  await until("policy for offers", async () => (await refusal(probeOffer())).includes(byPolicy("offers")));
  await until("policy for pods", async () => (await refusal(probePod())).includes(byPolicy("pods")));
  await until("policy for statuses", async () => (await refusal(probeQueue())).includes(byPolicy("status")));
  await until("aggregated roles", async () => (await refusal(scheduler.get(offers))) === "");
});

afterAll(async () => {
  await people?.leave();
  await cluster?.stop();
});

// The garbage collector looks for new kinds every 30 s.
const until = (what: string, holds: () => Promise<boolean>) => waitFor(what, holds, { timeoutMs: 90_000 });
let number = 0;
/** As somebody with an administrator's rights, whom only policies hold. */
const patchAs = (who: string, object: string, patch: Json) => people.patchAs(who, namespace, object, patch);
const fresh = (kind: string) => `${kind}-${++number}`;
const answerers = [user("scheduler")];
const decline = (by = user("scheduler"), fields: Json = {}) => ({ answer: { by, decision: "Decline", ...fields } });

const probeOffer = () => operator.create(`${offers}?dryRun=All`, offer({}, decline("nobody").answer, "probe"));
const probePod = (marks: Json = { "proffer.dev/task-uid": "probe" }) =>
  operator.create(`${pods}?dryRun=All`, pod({ labels: { ...marks, "proffer.dev/probe": "" } }));

const probeQueue = () => operator.create(`${objects}/queues?dryRun=All`, { ...queue({}), metadata: probed });

/** An open offer to the scheduler, made by the operator; its path. */
async function anOffer(metadata: Json = {}): Promise<string> {
  const made = offer({ answerers }, undefined, fresh("offer"));
  await operator.create(offers, { ...made, metadata: { ...made.metadata, ...metadata } });
  return `${offers}/${made.metadata.name}`;
}

const pod = (metadata: Json) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: fresh("pod"), ...metadata },
  spec: { automountServiceAccountToken: false, containers: [{ name: "main", image: "busybox" }] },
});

/** A pod as the operator makes them; its path. */
async function aPod(metadata: Json = marks): Promise<string> {
  const made = pod(metadata);
  await operator.create(pods, made);
  return `${pods}/${made.metadata.name}`;
}

/** A pod of a task that exists, so that nobody collects it. */
async function aTasksPod(): Promise<{ path: string; task: string }> {
  const made = await scheduler.create(tasks, task({}, fresh("task")));
  const reference = { ...owner("Task", made.metadata.uid), name: made.metadata.name };
  return { path: await aPod({ ...marks, ownerReferences: [reference] }), task: made.metadata.name };
}

describe("offers", () => {
  test("are made by the operator", async () => {
    expect(await refusal(anOffer())).toBe("");
  });

  test("cannot be forged: a tenant lacks the right, and an administrator meets the policy", async () => {
    expect(await refusal(scheduler.create(offers, offer({ answerers }, undefined, "forged")))).toContain(
      "cannot create",
    );
    const said = await refusal(admin.create(offers, offer({ answerers }, undefined, "forged")));
    expect(said).toMatch(/403 Forbidden.*Offers are made by Proffer alone. To be offered capacity, create a Framework/);
  });

  test("begin without an answer, even from the operator: so it sees the policy in force", async () => {
    const said = await refusal(probeOffer());
    expect(said).toMatch(/403 Forbidden.*An Offer begins without an answer/);
    expect(said).toContain(byPolicy("offers"));
    expect(await refusal(operator.create(`${offers}?dryRun=All`, offer({}, undefined, "probe")))).toBe("");
  });

  test("are answered by an answerer in its own name", async () => {
    const path = await anOffer();
    const launches = [{ task: "t", slice: "s0", count: 1 }];
    expect(await refusal(scheduler.patch(path, decline(undefined, { decision: "Accept", launches })))).toBe("");
    expect((await admin.get(path)).answer.by).toBe(user("scheduler"));
  });

  test("are answered once", async () => {
    const path = await anOffer();
    await scheduler.patch(path, decline());
    expect(await refusal(scheduler.patch(path, decline(undefined, { reason: "again" })))).toContain("answered once");
    expect(await refusal(scheduler.patch(path, { answer: null }))).toContain("answered once");
  });

  test("of others are not answered", async () => {
    const path = await anOffer();
    expect(await refusal(colleague.patch(path, decline(user("colleague"))))).toMatch(
      /403 Forbidden.*'system:serviceaccount:team-a:colleague' may not answer this Offer: add that name to spec.answerers/,
    );
    expect(await refusal(stranger.patch(path, decline(user("stranger"))))).toContain("cannot patch");
    expect((await admin.get(path)).answer).toBeUndefined();
  });

  test("are not answered in the name of somebody else", async () => {
    const path = await anOffer();
    expect(await refusal(colleague.patch(path, decline()))).toMatch(
      /403 Forbidden.*answer.by must be your own user name: set it to 'system:serviceaccount:team-a:colleague'/,
    );
    expect(await refusal(admin.patch(path, decline()))).toContain("answer.by must be your own user name");
  });

  test.each<{ name: string; metadata: Json }>([
    { name: "labels", metadata: { labels: { a: "b" } } },
    { name: "annotations", metadata: { annotations: { a: "b" } } },
    { name: "finalizers", metadata: { finalizers: ["a.example/b"] } },
    { name: "owners", metadata: { ownerReferences: [owner("Framework")] } },
  ])("keep their $name, but for the controllers of Kubernetes", async ({ metadata }) => {
    const path = await anOffer();
    expect(await refusal(scheduler.patch(path, { metadata }))).toContain("Patch `answer` alone");
    for (const name of controllers) {
      expect(patchAs(name, `offers/${(await anOffer()).split("/").at(-1)}`, { metadata })).toBe("");
    }
  });

  test("keep their spec", async () => {
    const path = await anOffer();
    expect(await refusal(scheduler.patch(path, { spec: { answerers: [user("colleague")] } }))).toContain(
      "never changes",
    );
  });

  test("have a status that the operator alone writes", async () => {
    const path = await anOffer();
    const status = { status: { phase: "Accepted" } };
    expect(await refusal(scheduler.patch(`${path}/status`, status))).toContain('cannot patch resource "offers/status"');
    expect(await refusal(admin.patch(`${path}/status`, status))).toMatch(/403 Forbidden.*written by Proffer alone/);
    expect(await refusal(operator.patch(`${path}/status`, status))).toBe("");
  });

  test("may be deleted, which rescinds them", async () => {
    expect(await refusal(admin.delete(await anOffer()))).toBe("");
    expect(await refusal(operator.delete(await anOffer()))).toBe("");
  });
});

describe("pods", () => {
  test("of anybody else are nobody's business", async () => {
    const made = pod({ labels: { app: "x" }, annotations: { a: "b" }, finalizers: ["a.example/b"] });
    expect(await refusal(scheduler.create(pods, made))).toBe("");
    const patch = { metadata: { labels: { app: "z" }, annotations: { a: null }, finalizers: [] } };
    expect(await refusal(scheduler.patch(`${pods}/${made.metadata.name}`, patch))).toBe("");
  });

  test("are marked by the operator", async () => {
    const path = await aPod({ ...marks, ownerReferences: [owner()] });
    expect(await refusal(operator.patch(path, { metadata: { finalizers: [] } }))).toBe("");
  });

  test.each(["proffer.dev/task-uid", "proffer.dev/framework"])("do not get %s from anybody else", async (label) => {
    const metadata = { labels: { [label]: "x" } };
    const says = "Labels that begin with proffer.dev/ are set by Proffer alone";
    expect(await refusal(scheduler.create(pods, pod(metadata)))).toMatch(new RegExp(`403 Forbidden.*${says}`));
    expect(await refusal(admin.create(pods, pod(metadata)))).toContain(says);
    const plain = pod({});
    await scheduler.create(pods, plain);
    expect(await refusal(scheduler.patch(`${pods}/${plain.metadata.name}`, { metadata }))).toContain(says);
  });

  test("do not get them by a controller's hand either", async () => {
    const replicas = await people.serviceAccount("kube-system", "replicaset-controller");
    expect(await refusal(replicas.create(pods, pod({ labels: marks.labels })))).toContain(byPolicy("pods"));
  });

  test.each<{ name: string; metadata: Json; says: string }>([
    { name: "a label added", metadata: { labels: { "proffer.dev/queue": "q" } }, says: "Labels" },
    { name: "a label changed", metadata: { labels: { "proffer.dev/task": "u" } }, says: "Labels" },
    { name: "a label removed", metadata: { labels: { "proffer.dev/task": null } }, says: "Labels" },
    { name: "all labels removed", metadata: { labels: null }, says: "Labels" },
    { name: "an annotation added", metadata: { annotations: { "proffer.dev/a": "b" } }, says: "Annotations" },
    { name: "an annotation changed", metadata: { annotations: { "proffer.dev/note": "m" } }, says: "Annotations" },
    { name: "an annotation removed", metadata: { annotations: null }, says: "Annotations" },
    {
      name: "another finalizer",
      metadata: { finalizers: ["proffer.dev/tracking", "proffer.dev/a"] },
      says: "The finalizer",
    },
    { name: "the owner removed", metadata: { ownerReferences: null }, says: "The owner reference" },
    { name: "the owner's UID stolen", metadata: { ownerReferences: [owner()] }, says: "The owner reference" },
  ])("of Proffer do not get $name", async ({ metadata, says }) => {
    const { path } = await aTasksPod();
    expect(await refusal(scheduler.patch(path, { metadata }))).toMatch(new RegExp(`403 Forbidden.*${says}`));
    expect(await refusal(admin.patch(path, { metadata }))).toContain(says);
  });

  test("of Proffer keep the finalizer, but for system:masters in an emergency", async () => {
    const { path } = await aTasksPod();
    const metadata = { finalizers: null };
    expect(await refusal(scheduler.patch(path, { metadata }))).toMatch(/403 Forbidden.*The finalizer/);
    expect(patchAs("somebody", `pods/${path.split("/").at(-1)}`, { metadata })).toContain("The finalizer");
    expect(await refusal(admin.patch(path, { metadata }))).toBe("");
    expect(await refusal(admin.patch(path, { metadata: { finalizers: marks.finalizers } }))).toContain("The finalizer");
  });

  test("of Proffer may change in all else, be reported on, and be deleted", async () => {
    const { path } = await aTasksPod();
    const metadata = { labels: { app: "z", more: "m" }, annotations: { other: null } };
    expect(await refusal(scheduler.patch(path, { metadata }))).toBe("");
    expect(await refusal(admin.patch(`${path}/status`, { status: { phase: "Running" } }))).toBe("");
    expect(await refusal(scheduler.delete(path, { gracePeriodSeconds: 0 }))).toBe("");
    expect((await admin.get(path)).metadata.finalizers).toEqual(["proffer.dev/tracking"]);
  });

  test.each(controllers)("let %s maintain owners and finalizers, not labels", async (name) => {
    const { path } = await aTasksPod();
    const target = `pods/${path.split("/").at(-1)}`;
    expect(patchAs(name, target, { metadata: { labels: null } })).toContain("Labels");
    expect(patchAs(name, target, { metadata: { annotations: null } })).toContain("Annotations");
    expect(patchAs(name, target, { metadata: { ownerReferences: null } })).toBe("");
    expect(patchAs(name, target, { metadata: { finalizers: null } })).toBe("");
  });

  test("lose the finalizer when the chart is uninstalled, and nothing else", async () => {
    const releaser = user("proffer-releaser", release);
    const target = `pods/${(await aTasksPod()).path.split("/").at(-1)}`;
    expect(patchAs(releaser, target, { metadata: { labels: null } })).toContain("Labels");
    expect(patchAs(releaser, target, { metadata: { ownerReferences: null } })).toContain("The owner");
    expect(patchAs(releaser, target, { metadata: { finalizers: ["proffer.dev/other"] } })).toContain("The finalizer");
    expect(patchAs(releaser, target, { metadata: { finalizers: null } })).toBe("");
  });

  test("with the label of the probe are refused even to the operator: so it sees the policy in force", async () => {
    for (const labels of [undefined, {}]) expect(await refusal(probePod(labels))).toContain(byPolicy("pods"));
    expect(await refusal(operator.create(`${pods}?dryRun=All`, pod(marks)))).toBe("");
  });
});

describe("the status", () => {
  test.each([
    { kind: "frameworks", collection: frameworks, object: framework({}, "status") },
    { kind: "tasks", collection: tasks, object: task({}, "status") },
    { kind: "queues", collection: `${objects}/queues`, object: queue({}, "status") },
  ])("of $kind is the operator's", async ({ kind, collection, object }) => {
    await admin.create(collection, object);
    const path = `${collection}/status/status`;
    const status = { status: { conditions: [] } };
    expect(await refusal(scheduler.patch(path, status))).toContain(`cannot patch resource "${kind}/status"`);
    expect(await refusal(admin.patch(path, status))).toMatch(/403 Forbidden.*Change the spec instead/);
    expect(await refusal(operator.patch(path, status))).toBe("");
    expect(await refusal(admin.patch(`${collection}/status`, { metadata: { labels: { a: "b" } } }))).toBe("");
  });
});

describe("the garbage collector", () => {
  beforeAll(async () => {
    // It has to know the kinds first.
    const orphan = await anOffer({ ownerReferences: [owner("Framework")] });
    const pod = await aPod({ ownerReferences: [owner()] });
    for (const path of [orphan, pod])
      await until(`${path} collected`, async () => (await admin.find(path)) === undefined);
  });

  test("takes a deleted owner off an offer that is to stay", async () => {
    const name = fresh("framework");
    const { metadata } = await scheduler.create(frameworks, framework({}, name));
    const path = await anOffer({ ownerReferences: [{ ...owner("Framework", metadata.uid), name }] });
    await scheduler.delete(`${frameworks}/${name}`, { propagationPolicy: "Orphan" });
    await until("no owner", async () => (await admin.get(path)).metadata.ownerReferences === undefined);
  });

  test("takes a deleted owner off a pod that is to stay", async () => {
    const { path, task: name } = await aTasksPod();
    await scheduler.delete(`${tasks}/${name}`, { propagationPolicy: "Orphan" });
    await until("no owner", async () => (await admin.get(path)).metadata.ownerReferences === undefined);
  });
});

describe("the roles", () => {
  const [read, write] = [
    ["get", "list", "watch"],
    ["create", "update", "patch", "delete"],
  ];
  test.each([
    { who: user("visitor"), what: "tasks", may: read, not: write },
    { who: user("visitor"), what: "frameworks", may: read, not: write },
    { who: user("visitor"), what: "offers", may: read, not: write },
    { who: user("colleague"), what: "tasks", may: [...read, ...write], not: ["deletecollection"] },
    { who: user("colleague"), what: "frameworks", may: [...read, ...write], not: ["deletecollection"] },
    { who: user("colleague"), what: "offers", may: [...read, "patch"], not: ["create", "update", "delete"] },
    { who: user("colleague"), what: "offers/status", may: [], not: ["update", "patch"] },
    { who: user("colleague"), what: "tasks/status", may: [], not: ["update", "patch"] },
    { who: user("colleague"), what: "queues", may: [], not: write },
    { who: user("proffer", release), what: "offers", may: [...read, "create", "delete"], not: ["update", "patch"] },
    { who: user("proffer", release), what: "tasks", may: [...read, "delete"], not: ["create", "update", "patch"] },
    { who: user("proffer", release), what: "frameworks", may: read, not: write },
    { who: user("proffer", release), what: "queues", may: [...read, "create"], not: ["update", "patch", "delete"] },
    { who: user("proffer", release), what: "tasks/finalizers", may: ["update"], not: [] },
    { who: user("proffer", release), what: "frameworks/finalizers", may: ["update"], not: [] },
  ])("let $who $may $what, and no more", async ({ who, what, may, not }) => {
    for (const verb of may) expect([verb, await people.may(who, namespace, verb, what)]).toEqual([verb, true]);
    for (const verb of not) expect([verb, await people.may(who, namespace, verb, what)]).toEqual([verb, false]);
  });

  test("give the operator pods, accounts to look at one by one, and neither secrets nor other people's rights", async () => {
    const may = (verb = "", what = "", group = "") =>
      people.may(user("proffer", release), namespace, verb, what, group);
    const allowed = "get pods, list pods, watch pods, create pods, patch pods, delete pods, get serviceaccounts";
    for (const what of allowed.split(", ")) expect(await may(...what.split(" "))).toBe(true);
    const forbidden =
      "get secrets, get configmaps, get pods/exec, list serviceaccounts, create serviceaccounts/token, impersonate users";
    for (const what of forbidden.split(", ")) expect(await may(...what.split(" "))).toBe(false);
    for (const verb of ["bind", "escalate"]) expect(await may(verb, "roles", "rbac.authorization.k8s.io")).toBe(false);
  });
});

describe("the policies", () => {
  test("hold with the schema's own rules gone", async () => {
    const [open, answered] = [await anOffer(), await anOffer()];
    await scheduler.patch(answered, decline());
    const crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/offers.proffer.dev";
    const { spec } = await admin.get(crd);
    const unruled = JSON.parse(JSON.stringify(spec), (key, value) =>
      key === "x-kubernetes-validations" ? undefined : value,
    );
    await admin.patch(crd, { spec: { versions: unruled.versions } });
    try {
      const change = { spec: { answerers: [user("colleague")] } };
      await until("no rules", async () => !/never changes: answer/.test(await refusal(scheduler.patch(open, change))));
      expect(await refusal(scheduler.patch(open, change))).toMatch(/403 Forbidden.*The spec of an Offer never changes/);
      for (const patch of [decline(undefined, { reason: "again" }), { answer: null }]) {
        expect(await refusal(scheduler.patch(answered, patch))).toMatch(/403 Forbidden.*This Offer has been answered/);
      }
    } finally {
      await admin.patch(crd, { spec: { versions: spec.versions } });
    }
  });

  test("are well typed", async () => {
    for (const name of ["offers", "pods", "status"]) {
      const path = `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/${name}.proffer.dev`;
      await until(`${name} checked`, async () => (await admin.get(path)).status?.typeChecking !== undefined);
      expect((await admin.get(path)).status.typeChecking).toEqual({});
    }
  });
});
