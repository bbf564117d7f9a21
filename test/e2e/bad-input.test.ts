import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import { refusal } from "./admission.test-support.ts";
import { eventually } from "./support/eventually.ts";
import { needs, Site } from "./support/site.ts";
import { QUEUES, type Tenant } from "./support/tenant.ts";

// Whatever somebody writes is refused or reported, where they look for it, and nobody else notices.

let site: Site;
/** Somebody else, whose work goes on. */
let other: Tenant;
beforeAll(async () => {
  site = await Site.open();
  other = await site.tenant("other", "cpu=4,memory=8Gi");
  await other.framework();
});
afterAll(() => site?.close());
needs(() => site.cluster, "fakeKubelets");

let number = 0;
/** Somebody else's Task, made now, runs to its end. */
async function othersWork(): Promise<void> {
  const name = `work-${number++}`;
  await other.task(name, { fake: { duration: "100ms" } });
  expect((await other.ended(name)).state).toBe("Finished");
}

async function scene(namespace: string, spec: Json = {}): Promise<Tenant> {
  const tenant = await site.tenant(namespace, "cpu=4,memory=8Gi", 2);
  await tenant.framework(spec);
  return tenant;
}

const accepted = ({ conditions = [] }: Json) => conditions.find(({ type }: Json) => type === "Accepted");
/** Waits until the Task is not accepted for this reason; returns the text. */
async function notAccepted(tenant: Tenant, task: string, reason: string): Promise<string> {
  const holds = (status: Json) => accepted(status)?.status === "False" && accepted(status).reason === reason;
  return accepted(await tenant.until(task, `not accepted: ${reason}`, holds)).message;
}

describe.concurrent("a Task that cannot run", () => {
  test("for its size says what it needs and what there is", async () => {
    const tenant = await scene("giant");
    await tenant.task("giant", { requests: { cpu: "100" } });
    const why = await tenant.waits("giant", "NoNode");
    expect(why).toMatch(/\d+ insufficient cpu \(needs 100, largest free 4\)/);
    expect((await tenant.status("giant")).why).toBe(why);
    await othersWork();
  });

  test("for want of its framework says so, and runs once that is there", async () => {
    const tenant = await site.tenant("orphan", "cpu=4,memory=8Gi");
    await tenant.task("orphan", { framework: "later", fake: { duration: "100ms" } });
    expect(await notAccepted(tenant, "orphan", "UnknownFramework")).toContain("orphan/later does not exist: create it");
    await tenant.framework({}, "later");
    expect((await tenant.ended("orphan")).state).toBe("Finished");
  });

  test("for want of its queue says so, and runs once that is there", async () => {
    const tenant = await scene("queueless", { queues: [{ name: "someday" }] });
    await tenant.task("patient", { fake: { duration: "100ms" } });
    expect(await notAccepted(tenant, "patient", "UnknownQueue")).toMatch(
      /queue someday does not exist: create it, or name another/,
    );
    await site.queue("someday");
    expect((await tenant.ended("patient")).state).toBe("Finished");
  });

  test("for a queue that does not admit its namespace says so", async () => {
    await site.queue("closed", { namespaces: ["elsewhere"] });
    const tenant = await scene("outsider", { queues: [{ name: "closed" }, { name: "default" }] });
    await tenant.task("denied");
    expect(await notAccepted(tenant, "denied", "QueueNotAllowed")).toMatch(
      /does not admit namespace outsider: add it to the queue's spec.namespaces/,
    );
    await tenant.task("unlisted", { spec: { queue: "closed-too" } });
    expect(await notAccepted(tenant, "unlisted", "QueueNotAllowed")).toMatch(
      /does not list queue closed-too: add it to its spec.queues/,
    );
    await tenant.task("fine", { fake: { duration: "100ms" }, spec: { queue: "default" } });
    expect((await tenant.ended("fine")).state).toBe("Finished");
  });

  test("for queues that stand on each other says so", async () => {
    await site.queue("chicken", { parent: "egg" });
    await site.queue("egg", { parent: "chicken" });
    const tenant = await scene("circle", { queues: [{ name: "chicken" }] });
    await tenant.task("dizzy", { fake: { duration: "100ms" } });
    expect(await notAccepted(tenant, "dizzy", "QueueInvalid")).toContain("chicken");
    await othersWork();
    await site.cluster.api.patch(`${QUEUES}/egg`, { spec: { parent: null } });
    expect((await tenant.ended("dizzy")).state).toBe("Finished");
  });

  test("for its priority or for one Task too many says so", async () => {
    await site.queue("strict", { maxPriority: 10, maxTasks: 1 });
    const tenant = await scene("strict", { queues: [{ name: "strict" }] });
    await tenant.task("proud", { spec: { priority: 11 } });
    expect(await notAccepted(tenant, "proud", "PriorityTooHigh")).toMatch(
      /priority 11, queue strict allows 10: lower it/,
    );
    await tenant.task("first");
    await tenant.podsUntil("it runs", (pods) => pods.length === 1, "first");
    await tenant.task("second", { fake: { duration: "100ms" } });
    expect(await notAccepted(tenant, "second", "TooManyTasks")).toMatch(
      /holds 1 unfinished tasks.*one has to end first/,
    );
    await tenant.patchTask("first", { kill: {} });
    expect((await tenant.ended("second")).state).toBe("Finished");
  });

  test("for being larger than its queue's limit says what to do", async () => {
    await site.queue("tight", { limit: { cpu: "2" } });
    const tenant = await scene("tight", { queues: [{ name: "tight" }] });
    await tenant.task("wide", { requests: { cpu: "3" } });
    expect(await tenant.waits("wide", "OverLimit")).toBe(
      "queue tight: 3 asked, 2 left of its limit 2 (cpu): raise it, or ask for less",
    );
  });

  test("for what the API server says of its pods tells it in those words", async () => {
    const tenant = await scene("unlawful");
    const task = tenant.taskObject("unlawful");
    // The schema lets the key pass; the API server's own rules for pods do not.
    task.spec.template.metadata.labels = { "not a key": "x" };
    await tenant.api.create(tenant.path("tasks"), task);
    expect(await notAccepted(tenant, "unlawful", "TemplateRefused")).toMatch(/metadata.labels.*not a key/);
    await othersWork();
  });
});

test("a Framework that takes more weight than its queue allows is told what it counts for", async () => {
  await site.queue("modest", { maxFrameworkWeight: 2 });
  const tenant = await site.tenant("modest");
  await tenant.framework({ queues: [{ name: "modest", weight: 7 }] });
  const framework = async () => (await tenant.api.get(tenant.path("frameworks", "fw"))).status ?? {};
  await eventually("it is told", framework, (status) =>
    /weight 7 in queue modest counts as 2/.test(accepted(status)?.message),
  );
});

describe.concurrent("what the schema refuses", () => {
  test.each<{ name: string; change: (task: Json) => void; says: RegExp }>([
    {
      name: "a negative quantity",
      change: (task) => {
        task.spec.template.spec.containers[0].resources.requests.cpu = "-1";
      },
      says: /must not be negative|zero or more|should match/,
    },
    {
      name: "a quantity that is a bomb",
      change: (task) => {
        task.spec.template.spec.containers[0].resources.requests.memory = "2E6024865272343";
      },
      says: /memory/,
    },
    {
      name: "no instances at all",
      change: (task) => {
        task.spec.instances = 0;
      },
      says: /instances.*greater than or equal to 1/,
    },
    {
      name: "a label of Proffer's own",
      change: (task) => {
        task.spec.template.metadata.labels = { "proffer.dev/task-uid": "x" };
      },
      says: /set by the operator/,
    },
    {
      name: "a privileged container",
      change: (task) => {
        task.spec.template.spec.containers[0].securityContext = { privileged: true };
      },
      says: /privileged/,
    },
    {
      name: "a variable of Proffer's own",
      change: (task) => {
        task.spec.template.spec.containers[0].env = [{ name: "PROFFER_TASK_INDEX", value: "0" }];
      },
      says: /PROFFER_/,
    },
  ])("is refused when it is written: $name", async ({ change, says }) => {
    const task = other.taskObject("refused");
    change(task);
    expect(await refusal(other.api.create(other.path("tasks"), task))).toMatch(says);
  });

  test("or else is odd but lawful runs like any other", async () => {
    const tenant = await scene("odd");
    const name = `x${"-".repeat(61)}x`;
    const task = tenant.taskObject(name, { fake: { duration: "100ms" }, instances: 2 });
    task.metadata.annotations = { note: "\u001b[31m\u2028'\"<script>".repeat(5_000) };
    task.metadata.labels = Object.fromEntries(["constructor", "toString", "valueOf"].map((key) => [key, key]));
    task.spec.template.metadata.labels = { constructor: "prototype", hasOwnProperty: "", "example.com/a": "b" };
    const [container] = task.spec.template.spec.containers;
    container.env = [{ name: "ODD", value: "\u2028$(X)%s\u001b[0m" }];
    container.args = ["--", "\r\n", "{}"];
    await tenant.api.create(tenant.path("tasks"), task);
    expect(await tenant.ended(name)).toMatchObject({ state: "Finished", progress: "2/2" });
    const [pod] = await tenant.pods(name);
    expect(pod.metadata.name.length).toBeLessThanOrEqual(63);
    expect(pod.metadata.labels.constructor).toBe("prototype");
  });
});

describe("objects that no rule has seen", () => {
  test("are reported in their status, or are left alone, and stop nobody", async () => {
    const crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tasks.proffer.dev";
    const { spec } = await site.cluster.api.get(crd);
    const [version] = spec.versions;
    const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    const tenant = await scene("poison");
    const long = `${"long-".repeat(40)}name`;
    const poison: Record<string, Json> = {
      "no-template": { framework: "fw", instances: 3 },
      "wrong-types": { framework: "fw", template: "pod", instances: "many", retry: 7, kill: [] },
      "negative-count": { ...tenant.taskObject("x").spec, instances: -5 },
      "huge-count": { ...tenant.taskObject("x").spec, instances: 4_000_000_000 },
      nothing: {},
      "host-path": {
        ...tenant.taskObject("x").spec,
        template: {
          spec: { containers: [{ name: "c", image: "i" }], volumes: [{ name: "v", hostPath: { path: "/" } }] },
        },
      },
      "a.name.with.dots": tenant.taskObject("x", { fake: { duration: "100ms" } }).spec,
      [long]: tenant.taskObject("x").spec,
    };
    const relaxed = { ...version, schema: { openAPIV3Schema: anything }, selectableFields: null };
    await site.cluster.api.patch(crd, { spec: { versions: [relaxed] } });
    try {
      const create = (name: string) =>
        tenant.api.create(tenant.path("tasks"), { ...tenant.taskObject(name), spec: poison[name] });
      await eventually(
        "the rules are gone",
        () => refusal(create("no-template")),
        (said) => said === "",
      );
      for (const name of Object.keys(poison).slice(1)) await create(name);
      await othersWork();
      for (const name of ["no-template", "wrong-types", "negative-count", "huge-count", "host-path"]) {
        expect(await notAccepted(tenant, name, "InvalidTask")).not.toBe("");
      }
      expect(await notAccepted(tenant, long, "TemplateRefused")).toContain("must be no more than 63");
      // Nothing of them ever became a pod.
      const made = new Set((await tenant.seen()).map(({ task }) => task));
      for (const name of ["no-template", "wrong-types", "negative-count", "huge-count", "host-path", "nothing"]) {
        expect(made).not.toContain(name);
      }
      await othersWork();
    } finally {
      await tenant.clear();
      await site.cluster.api.patch(crd, { spec: { versions: [version] } });
    }
    expect(site.operator.running()).toBe(true);
    expect(site.operator.log().filter(({ level }) => level === "fatal" || level === "error")).toEqual([]);
    await eventually(
      "the rules are back",
      () => refusal(other.task("Not_A_Name")),
      (said) => said !== "",
    );
    await othersWork();
  });
});
