import { describe, expect, test } from "vitest";
import type { Input, PodFacts } from "../../offers/messages.ts";
import { FakeKube, lost, status } from "../fake-kube.test-support.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { podBlueprint } from "../manifests/pod.ts";
import { taskObject, taskUid } from "../objects.test-support.ts";
import { ownFacts } from "../observe/pod.ts";
import { TaskReader } from "../observe/task.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { JobQueue } from "./job-queue.ts";
import { type CreatePod, PodEffects } from "./pods.ts";

const effect: CreatePod = {
  type: "create-pod",
  attempt: { taskUid, index: 0, attempt: 0 },
  node: "n1",
  queue: "default",
  framework: "ns/fw",
};

function setUp({ taskIsGone = false } = {}) {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const inputs: Input[] = [];
  const created: { pod: PodFacts; resourceVersion: string }[] = [];
  let leads = true;
  let blueprints = 0;
  const jobs = new JobQueue({ clock, random: () => 0, telemetry: noTelemetry, log: noLogger });
  const task = new TaskReader().project(taskObject());
  const blueprint = podBlueprint({
    namespace: "ns",
    task: "t",
    taskUid,
    framework: "fw",
    instances: 1,
    template: task.template.template!,
    tolerations: [],
    unreachableSeconds: 60,
  });
  const pods = new PodEffects({
    client: kube.client,
    clock,
    log: noLogger,
    fence: () => leads,
    feed: (input) => inputs.push(input),
    // Another one each time, as after a change of the Framework.
    blueprintOf: () => (taskIsGone ? undefined : { ...blueprint, annotations: { number: String(blueprints++) } }),
    created: (pod, resourceVersion) => created.push({ pod, resourceVersion }),
  });
  const creates = () => kube.requests.filter(({ method, query }) => method === "POST" && !query.dryRun);
  const name = `${blueprint.namePrefix}-0-0`;
  return { kube, clock, inputs, created, jobs, pods, creates, name, depose: () => (leads = false) };
}

describe("creating a pod", () => {
  test("confirms it with the node and requests that the API server shows", async () => {
    const { kube, clock, created, jobs, pods } = setUp();
    kube.admit = (pod) => {
      pod.spec.overhead = { cpu: "250m" };
    };
    jobs.add(pods.create({ ...effect, offer: "offer-1.2" }));
    await clock.advance(0);
    expect(created).toHaveLength(1);
    expect(created[0]?.pod).toMatchObject({ node: "n1", index: 0, attempt: 0, tracked: true, requests: { cpu: 750 } });
    expect(created[0]?.pod.offer).toBe("offer-1.2");
    expect(created[0]?.resourceVersion).toBe(kube.version);
  });

  test("whose outcome is unknown sends the identical body again, and the pod is one", async () => {
    const { kube, clock, created, inputs, jobs, pods, creates, name } = setUp();
    let faults = 2;
    kube.fault = ({ method }) =>
      method === "POST" && faults-- > 0 ? { error: lost(), applied: faults === 0 } : undefined;
    jobs.add(pods.create(effect));
    await clock.advance(60_000);
    expect(creates().length).toBe(3);
    expect(new Set(creates().map(({ text }) => text)).size).toBe(1);
    expect(kube.all("pods")).toHaveLength(1);
    expect(created.map(({ pod }) => pod.key)).toEqual([`ns/${name}`]);
    expect(inputs).toEqual([]);
  });

  test("that was seen while its answer was lost is not made again, though it has ended and its name is free (guards: seen)", async () => {
    const { kube, clock, inputs, jobs, pods, creates, name } = setUp();
    kube.loseFirstAnswer("POST");
    jobs.add(pods.create(effect));
    await clock.advance(10);
    // It ran, its end is on record, its finalizer is off, and somebody has deleted it.
    pods.seen(ownFacts(kube.get("pods", "ns", name))!);
    kube.remove("pods", kube.get("pods", "ns", name));
    await clock.advance(120_000);
    expect(creates()).toHaveLength(1);
    expect([kube.all("pods"), inputs, jobs.size]).toEqual([[], [], 0]);
  });

  test("that was seen while it waits to be sent again is not sent (guards: the look before the first byte)", async () => {
    const { kube, clock, jobs, pods, creates, name } = setUp();
    const connection = Promise.withResolvers<void>();
    const request = kube.request.bind(kube);
    // What the transport does by itself after an answer that never came.
    kube.request = async (method, path, options) => {
      await request(method, path, options);
      await connection.promise;
      return request(method, path, options);
    };
    jobs.add(pods.create(effect));
    await clock.advance(10);
    pods.seen(ownFacts(kube.get("pods", "ns", name))!);
    kube.remove("pods", kube.get("pods", "ns", name));
    connection.resolve();
    await clock.advance(120_000);
    expect(creates()).toHaveLength(1);
    expect([kube.all("pods"), jobs.size]).toEqual([[], 0]);
  });

  test("of another attempt than the one that was seen goes on", async () => {
    const { kube, clock, created, jobs, pods, name } = setUp();
    kube.loseFirstAnswer("POST");
    jobs.add(pods.create(effect));
    await clock.advance(10);
    pods.seen({ ...ownFacts(kube.get("pods", "ns", name))!, attempt: 1 });
    await clock.advance(10_000);
    expect(created).toHaveLength(1);
  });

  test("whose name is taken and then free again is made", async () => {
    const { kube, clock, created, inputs, jobs, pods, name } = setUp();
    kube.put("pods", { metadata: { name, namespace: "ns" }, spec: { nodeName: "n1" } });
    kube.fault = ({ method }) => {
      if (method === "GET") kube.remove("pods", kube.get("pods", "ns", name));
      return undefined;
    };
    jobs.add(pods.create(effect));
    await clock.advance(1_000);
    expect(created).toHaveLength(1);
    expect(inputs).toEqual([]);
  });

  test("that exists already with our owner moves the claim to the node it really has (guards: 409 → GET)", async () => {
    const { kube, clock, created, inputs, jobs, pods } = setUp();
    jobs.add(pods.create({ ...effect, node: "n9" }));
    await clock.advance(0);
    jobs.add(pods.create(effect));
    await clock.advance(0);
    expect(created.map(({ pod }) => pod.node)).toEqual(["n9", "n9"]);
    expect(kube.all("pods")).toHaveLength(1);
    expect(inputs).toEqual([]);
  });

  test.each([
    ["a stranger's", { labels: {}, ownerReferences: [] }],
    [
      "another Task's of that name",
      { ownerReferences: [{ kind: "Task", apiVersion: "proffer.dev/v1alpha1", uid: "other" }] },
    ],
  ])("whose name is taken by %s pod is refused (guards: the owner check after a 409)", async (_, metadata) => {
    const { kube, clock, created, inputs, jobs, pods, name } = setUp();
    kube.put("pods", { metadata: { name, namespace: "ns", ...metadata }, spec: { nodeName: "n1" } });
    jobs.add(pods.create(effect));
    await clock.advance(0);
    expect(created).toEqual([]);
    expect(inputs).toEqual([
      { type: "pod-refused", attempt: effect.attempt, message: `a pod named ${name} exists that is not this task's` },
    ]);
  });

  test("of another attempt under the same name is refused (guards: the attempt check after a 409)", async () => {
    const { kube, clock, inputs, jobs, pods, name } = setUp();
    jobs.add(pods.create(effect));
    await clock.advance(0);
    const pod = kube.get("pods", "ns", name);
    pod.metadata.labels["proffer.dev/attempt"] = "5";
    kube.put("pods", pod);
    jobs.add(pods.create(effect));
    await clock.advance(0);
    expect(inputs).toMatchObject([{ type: "pod-refused" }]);
  });

  test.each([
    ["a quota that wants more said", status(403, "Forbidden", "failed quota: q: must specify limits.cpu")],
    [
      "a namespace that ends",
      status(403, "Forbidden", "unable to create new content in namespace ns because it is being terminated"),
    ],
    ["a namespace that is gone", status(404, "NotFound", 'namespaces "ns" not found')],
    ["an invalid pod", status(422, "Invalid", "spec.containers[0].image: Required value")],
  ])("is refused with the API server's words: %s", async (_, error) => {
    const { kube, clock, inputs, jobs, pods, creates } = setUp();
    kube.fault = () => ({ error });
    jobs.add(pods.create(effect));
    await clock.advance(60_000);
    expect(creates()).toHaveLength(1);
    expect(inputs).toEqual([{ type: "pod-refused", attempt: effect.attempt, message: error.text }]);
  });

  test("is told as refused by a quota where one is spent, or not known yet", async () => {
    for (const text of ["exceeded quota: q, requested: pods=1", "status unknown for quota: q, resources: pods"]) {
      const { kube, clock, inputs, jobs, pods, creates } = setUp();
      const message = `pods "t-0" is forbidden: ${text}`;
      kube.fault = () => ({ error: status(403, "Forbidden", message) });
      jobs.add(pods.create(effect));
      await clock.advance(60_000);
      expect(creates()).toHaveLength(1);
      expect(inputs).toEqual([{ type: "pod-refused", attempt: effect.attempt, message, byQuota: true }]);
    }
  });

  test.each([
    ["429", status(429, "TooManyRequests")],
    ["500", status(500, "InternalError", "failed calling webhook")],
    ["409 by a quota that others write", status(409, "Conflict", "the quota has been modified")],
    ["401 while a token rotates", status(401, "Unauthorized")],
  ])("is tried again after %s, and nothing is given up", async (_, error) => {
    const { kube, clock, created, inputs, jobs, pods } = setUp();
    let faults = 3;
    kube.fault = () => (faults-- > 0 ? { error } : undefined);
    jobs.add(pods.create(effect));
    await clock.advance(60_000);
    expect(created).toHaveLength(1);
    expect(inputs).toEqual([]);
  });

  test("refused after an unknown outcome is settled first: the pod may be there (guards: GET before giving up)", async () => {
    const { kube, clock, created, inputs, jobs, pods } = setUp();
    const faults = [{ error: lost(), applied: true }, { error: status(403, "Forbidden", "exceeded quota") }];
    kube.fault = ({ method }) => (method === "POST" ? faults.shift() : undefined);
    jobs.add(pods.create(effect));
    await clock.advance(10_000);
    expect(inputs).toEqual([]);
    expect(created).toHaveLength(1);
  });

  test("refused after an unknown outcome, with no pod there, is given up only when it cannot arrive any more", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp();
    let first = true;
    kube.fault = ({ method }) => {
      if (method !== "POST") return undefined;
      const error = first ? lost() : status(403, "Forbidden", "exceeded quota: q, requested: pods=1");
      first = false;
      return { error };
    };
    jobs.add(pods.create(effect));
    await clock.advance(70_000);
    expect(inputs).toEqual([]);
    await clock.advance(20_000);
    expect(inputs).toMatchObject([{ type: "pod-refused", byQuota: true }]);
  });

  test("does not send a byte once the lease is lost (guards: the fence of every attempt)", async () => {
    const { kube, clock, created, inputs, jobs, pods, depose } = setUp();
    kube.fault = () => ({ error: status(503, "ServiceUnavailable") });
    jobs.add(pods.create(effect));
    await clock.advance(0);
    const sent = kube.requests.length;
    depose();
    kube.fault = () => undefined;
    await clock.advance(120_000);
    expect(kube.requests.length).toBe(sent);
    expect([created, inputs]).toEqual([[], []]);
    expect(jobs.size).toBe(0);
  });

  test("for a Task that is gone is refused without a request", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp({ taskIsGone: true });
    jobs.add(pods.create(effect));
    await clock.advance(0);
    expect(kube.requests).toEqual([]);
    expect(inputs).toMatchObject([{ type: "pod-refused", message: "the Task is gone" }]);
  });

  test("that comes back without our marks is deleted: it would run uncounted", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp();
    kube.admit = (pod) => {
      pod.metadata.labels = {};
      pod.metadata.finalizers = [];
    };
    jobs.add(pods.create(effect));
    await clock.advance(0);
    expect(kube.all("pods")).toEqual([]);
    expect(inputs).toMatchObject([{ type: "pod-refused", message: expect.stringContaining("webhook") }]);
    expect(kube.requests.at(-1)).toMatchObject({ method: "DELETE", body: { preconditions: { uid: "uid-1" } } });
  });
});

describe("deleting a pod", () => {
  const remove = { type: "delete-pod" as const, key: "ns/p", uid: "pod-1", gracePeriodSeconds: 5 };

  test("deletes that one with its grace", async () => {
    const { kube, clock, jobs, pods } = setUp();
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-1" } });
    jobs.add(pods.delete(remove));
    await clock.advance(0);
    expect(kube.all("pods")).toEqual([]);
    expect(kube.requests[0]?.body).toMatchObject({ preconditions: { uid: "pod-1" }, gracePeriodSeconds: 5 });
  });

  test("never deletes another pod of that name (guards: the UID precondition)", async () => {
    const { kube, clock, jobs, pods } = setUp();
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-2" } });
    jobs.add(pods.delete(remove));
    await clock.advance(60_000);
    expect(kube.all("pods")).toHaveLength(1);
    expect(jobs.size).toBe(0);
  });

  test("to give its room back marks it first, so that the next leader knows too", async () => {
    const { kube, clock, jobs, pods } = setUp();
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-1", finalizers: ["x"] } });
    jobs.add(pods.delete({ ...remove, reclaimedFor: "owner" }));
    await clock.advance(0);
    expect(kube.requests.map(({ method }) => method)).toEqual(["PATCH", "DELETE"]);
    expect(kube.requests[0]?.body).toEqual({
      metadata: { uid: "pod-1", annotations: { "proffer.dev/reclaimed-for": "owner" } },
    });
  });

  test("to give its room back is done where the pod is gone, or is another one", async () => {
    const { kube, clock, jobs, pods } = setUp();
    jobs.add(pods.delete({ ...remove, reclaimedFor: "owner" }));
    await clock.advance(0);
    kube.put("pods", { metadata: { name: "p", namespace: "ns", uid: "pod-2" } });
    jobs.add(pods.delete({ ...remove, reclaimedFor: "owner" }));
    await clock.advance(60_000);
    expect(kube.all("pods")).toHaveLength(1);
    expect(jobs.size).toBe(0);
  });

  test("of a pod that is gone is done", async () => {
    const { clock, jobs, pods } = setUp();
    jobs.add(pods.delete(remove));
    await clock.advance(0);
    expect(jobs.size).toBe(0);
  });

  test("is not sent once the lease is lost", async () => {
    const { kube, clock, jobs, pods, depose } = setUp();
    depose();
    jobs.add(pods.delete(remove));
    await clock.advance(0);
    expect(kube.requests).toEqual([]);
  });
});

describe("sizing a template", () => {
  const size = { type: "size-template" as const, templateKey: "ns/h", taskUid };

  test("asks by a dry run what the API server makes of it", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp();
    kube.admit = (pod) => {
      pod.spec.containers[0].resources.requests.memory = "1Gi";
    };
    jobs.add(pods.size(size));
    await clock.advance(0);
    expect(kube.requests[0]?.query).toMatchObject({ dryRun: "All" });
    expect(kube.all("pods")).toEqual([]);
    expect(inputs).toEqual([
      { type: "template-sized", templateKey: "ns/h", requests: { cpu: 500, memory: 1_048_576, pods: 1 } },
    ]);
  });

  test("asks under a name of its own: the first instance may be there", async () => {
    const { clock, inputs, jobs, pods } = setUp();
    jobs.add(pods.create(effect));
    await clock.advance(0);
    jobs.add(pods.size(size));
    await clock.advance(0);
    expect(inputs).toMatchObject([{ type: "template-sized" }]);
  });

  test("for a Task that is gone says so: another may carry the same template", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp({ taskIsGone: true });
    jobs.add(pods.size(size));
    await clock.advance(60_000);
    expect(kube.requests).toEqual([]);
    const message = "the Task that carried the template is gone";
    expect(inputs).toEqual([{ type: "template-refused", templateKey: "ns/h", message, gone: true }]);
  });

  test("tells a refusal in the API server's words, and tries again what may pass", async () => {
    const { kube, clock, inputs, jobs, pods } = setUp();
    const faults = [{ error: status(500, "InternalError") }, { error: status(403, "Forbidden", "denied by webhook") }];
    kube.fault = () => faults.shift();
    jobs.add(pods.size(size));
    await clock.advance(60_000);
    expect(inputs).toEqual([{ type: "template-refused", templateKey: "ns/h", message: "denied by webhook" }]);
  });
});
