import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { queueSpec } from "../../api/queue.ts";
import { POLICIES } from "../../offers/policies/registry.ts";
import { frameworkObject, offerObject, queueObject, taskObject, taskUid } from "../objects.test-support.ts";
import { projectFramework } from "./framework.ts";
import { projectOffer, sameOffer } from "./offer.ts";
import { projectQueue, queueSpecOf } from "./queue.ts";
import { sameTask, TaskReader, taskFacts } from "./task.ts";

describe("a Queue", () => {
  test("is told in canonical units; a limit of zero is a limit", () => {
    const spec = {
      parent: "root",
      weight: 3,
      guarantee: { cpu: "1500m" },
      limit: { cpu: "2", "nvidia.com/gpu": 0 },
      namespaces: ["a", "b"],
      maxTasks: 5,
      reclaim: { graceSeconds: 0, minimumRuntimeSeconds: 60 },
    };
    expect(projectQueue(queueObject("q", spec)).facts).toEqual({
      name: "q",
      createdAtMs: 0,
      generation: 1,
      order: "DominantShare",
      parent: "root",
      weight: 3,
      guarantee: { cpu: 1500 },
      limit: { cpu: 2000, "nvidia.com/gpu": 0 },
      namespaces: ["a", "b"],
      maxTasks: 5,
      reclaim: { graceMs: 0, minimumRuntimeMs: 60_000 },
    });
    expect(projectQueue(queueObject("q")).facts).toEqual({
      name: "q",
      createdAtMs: 0,
      generation: 1,
      order: "DominantShare",
      weight: 1,
      guarantee: {},
      limit: {},
      namespaces: [],
    });
  });

  test("says of reclaim no more than it was told: the rest is its parent's", () => {
    expect(projectQueue(queueObject("q", { reclaim: {} })).facts?.reclaim).toEqual({});
  });

  test("that breaks a rule is told as invalid, with the rule", () => {
    const queue = projectQueue(queueObject("q", { weight: -1 }));
    expect(queue.facts.invalid).toContain("spec.weight");
  });

  test("is kept in a status so that nothing of its spec is lost", () => {
    const spec = {
      parent: "root",
      weight: 3,
      guarantee: { cpu: "1500m", memory: "1Gi", "example.com/gpu": 2 },
      limit: { cpu: "2", memory: "1536Mi", "example.com/gpu": 2 },
      order: "Fair",
      fairResource: "memory",
      namespaces: ["a", "*"],
      maxFrameworkWeight: 2,
      maxPriority: 7,
      maxTasks: 5,
      reclaim: { graceSeconds: 9, minimumRuntimeSeconds: 60 },
    };
    // A field that is new belongs here, and on the way back.
    expect(Object.keys(spec).sort()).toEqual(Object.keys(queueSpec.shape).sort());
    const { facts, recorded } = projectQueue(queueObject("q", spec));
    expect(recorded).toBeUndefined();
    const status = { observedGeneration: 1, lastGood: { generation: 1, inForce: true, spec: queueSpecOf(facts) } };
    const later = { ...queueObject("q", { weight: 9 }), status };
    expect(Object.keys(queueSpecOf(facts)).sort()).toEqual(Object.keys(spec).sort());
    expect(projectQueue(later).recorded).toEqual({ lastGood: facts, inForce: true });
  });

  test("has every order that the broker knows", () => {
    expect(queueSpec.shape.order.unwrap().options).toEqual(Object.keys(POLICIES));
  });
});

describe("a Framework", () => {
  test("has the defaults of its schema, also where the API server filled none in", () => {
    expect(projectFramework(frameworkObject()).facts).toEqual({
      key: "ns/fw",
      uid: "fw-1",
      queues: [{ name: "default", weight: 1 }],
      scheduler: "Builtin",
      placement: "BinPack",
      concurrency: "Exclusive",
      offerTimeoutMs: 30_000,
      maxOutstanding: 16,
      slack: 2,
      minimum: {},
      suppressed: false,
      revive: 0,
      demand: [],
      failover: { timeoutMs: 3_600_000, policy: "Orphan" },
      answerers: [],
      unreachableAfterMs: 60_000,
    });
  });

  test("of the type Offers tells its wishes; each instance takes a place among the pods", () => {
    const spec = {
      scheduler: { type: "Offers" },
      answerers: ["alice"],
      demand: [{ instances: 3, resources: { cpu: "1" } }],
      offers: { minimum: { cpu: "250m" }, constraints: { nodeSelector: { zone: "a" } } },
    };
    expect(projectFramework(frameworkObject(spec)).facts).toMatchObject({
      scheduler: "Offers",
      answerers: ["alice"],
      demand: [{ instances: 3, resources: { cpu: 1000, pods: 1 } }],
      minimum: { cpu: 250 },
      constraints: { nodeSelector: { zone: "a" } },
    });
  });

  test("with optimistic offers tells how their races are settled, as far as it says so", () => {
    const spec = { scheduler: { type: "Offers" }, answerers: ["alice"], concurrency: "Optimistic" };
    const told = (optimistic?: object) =>
      projectFramework(frameworkObject({ ...spec, ...(optimistic && { optimistic }) })).facts?.optimistic;
    expect(told()).toBe(undefined);
    expect(told({})).toEqual({ conflict: "ResourceFit", transaction: "Incremental" });
    expect(told({ conflict: "Version" })).toEqual({ conflict: "Version", transaction: "Incremental" });
    expect(told({ transaction: "AllOrNothing" })).toEqual({ conflict: "ResourceFit", transaction: "AllOrNothing" });
  });

  test("of the type Builtin has no offers, so what it says about them constrains no task of its", () => {
    const spec = { offers: { constraints: { nodeSelector: { zone: "a" }, tolerations: [{ operator: "Exists" }] } } };
    expect(projectFramework(frameworkObject(spec)).facts).not.toHaveProperty("constraints");
  });

  test("that breaks a rule is told as invalid", () => {
    expect(projectFramework(frameworkObject({ concurrency: "Optimistic" }))).toMatchObject({
      facts: undefined,
      invalid: expect.stringContaining("Optimistic needs scheduler.type Offers"),
    });
  });
});

describe("a Task", () => {
  const read = (...args: Parameters<typeof taskObject>) => new TaskReader().project(taskObject(...args));

  test("is told with what its template asks for", () => {
    expect(taskFacts(read(), undefined)).toEqual({
      key: "ns/t",
      uid: taskUid,
      framework: "ns/fw",
      templateKey: expect.stringMatching(/^ns\/[\w-]{22}$/),
      requests: { cpu: 500, memory: 65_536, pods: 1 },
      instances: 1,
      priority: 0,
      retry: { limit: 0, backoffMs: 10_000, maxBackoffMs: 300_000, onNodeLost: "Never" },
      createdAtMs: Date.UTC(2026, 0, 1),
      deleting: false,
    });
  });

  test("states how long its instances run, if it does", () => {
    expect(taskFacts(read({ spec: { durationSeconds: 90 } }), undefined)).toMatchObject({ durationMs: 90_000 });
  });

  test.each([
    { reason: "NoNode", status: "True", since: Date.UTC(2026, 0, 2) },
    { reason: "Gathering", status: "True", since: Date.UTC(2026, 0, 2) },
    { reason: "OverLimit", status: "True", since: undefined },
    { reason: "NoNode", status: "False", since: undefined },
  ])("waits for room as long as its status says: $reason $status", ({ reason, status, since }) => {
    const condition = { type: "Waiting", reason, status, message: "", lastTransitionTime: "2026-01-02T00:00:00Z" };
    expect(taskFacts(read({ status: { conditions: [condition] } }), undefined).waitingSinceMs).toBe(since);
  });

  test("takes from its Framework what it leaves open, and nothing else", () => {
    const framework = projectFramework(
      frameworkObject({
        taskDefaults: {
          priority: 7,
          ttlSecondsAfterFinished: 60,
          retry: { limit: 2 },
          constraints: { nodeSelector: { a: "b" } },
        },
      }),
    );
    expect(taskFacts(read(), framework)).toMatchObject({
      priority: 7,
      ttlAfterFinishedMs: 60_000,
      retry: { limit: 2 },
      constraints: { nodeSelector: { a: "b" } },
    });
    expect(taskFacts(read({ spec: { priority: 1, retry: { limit: 0 } } }), framework)).toMatchObject({
      priority: 1,
      retry: { limit: 0 },
    });
  });

  test("equal templates have one key in a namespace, and are read once", () => {
    const reader = new TaskReader();
    const [a, b] = [
      reader.project(taskObject()),
      reader.project(taskObject({ metadata: { name: "u", uid: "x", namespace: "ns" } })),
    ];
    expect(a.template).toBe(b.template);
    expect(taskFacts(a, undefined).templateKey).toBe(taskFacts(b, undefined).templateKey);
    const elsewhere = reader.project(taskObject({ metadata: { namespace: "other" } }));
    expect(taskFacts(elsewhere, undefined).templateKey).not.toBe(taskFacts(a, undefined).templateKey);
  });

  test.each([
    { field: "hostNetwork", value: true },
    { field: "nodeName", value: "n1" },
    { field: "serviceAccountName", value: "admin" },
  ])(
    "with $field in its template can never run, and says why (guards: parsePodTemplate in the reader)",
    ({ field, value }) => {
      const spec = { template: { spec: { containers: [{ name: "m", image: "i" }], [field]: value } } };
      const facts = taskFacts(read({ spec }), undefined);
      expect(facts.invalid).toContain(field);
    },
  );

  test("with a malformed spec is invalid, not an exception", () => {
    const facts = taskFacts(read({ spec: { instances: "many" } }), undefined);
    expect(facts.invalid).toContain("spec.instances");
    expect(facts.instances).toBe(1);
  });

  test("tells what its status has on record", () => {
    const status = {
      state: "Running",
      counts: { failed: 1, killed: 2, lost: 3, running: 1 },
      succeededIndexes: "0-3",
      failedIndexes: "5",
      attempts: [{ indexes: "5", ended: 2, failed: 1 }],
      lastFailures: [
        { index: 5, attempt: 1, node: "n", reason: "exit-code", message: "m", exitCode: 3, at: "2026-01-01T00:00:00Z" },
        { index: 5, attempt: 1, reason: "a reason of the future", message: "m", at: "2026-01-01T00:00:00Z" },
      ],
      startedAt: "2026-01-01T00:00:00Z",
    };
    expect(read({ status }).recorded).toEqual({
      succeededIndexes: "0-3",
      failedIndexes: "5",
      attempts: [{ indexes: "5", ended: 2, failed: 1 }],
      counts: { failed: 1, killed: 2, lost: 3 },
      lastFailures: [
        { index: 5, attempt: 1, node: "n", reason: "exit-code", message: "m", exitCode: 3, atMs: Date.UTC(2026, 0, 1) },
      ],
      startedAtMs: Date.UTC(2026, 0, 1),
    });
    expect(read({ status: { state: "Pending", counts: { pending: 1 } } }).recorded).toBeUndefined();
  });

  test("whose instances run and none has ended is on record with its start", () => {
    const status = { state: "Running", startedAt: "2026-01-01T00:00:00Z", counts: { running: 1 } };
    expect(read({ status }).recorded).toEqual({
      succeededIndexes: "",
      failedIndexes: "",
      attempts: [],
      counts: { failed: 0, killed: 0, lost: 0 },
      lastFailures: [],
      startedAtMs: Date.UTC(2026, 0, 1),
    });
  });

  test("whose status alone has changed is the same to the broker", () => {
    const before = read();
    expect(sameTask(before, read({ status: { state: "Running" }, metadata: { resourceVersion: "9" } }))).toBe(true);
    expect(sameTask(before, read({ metadata: { generation: 2 } }))).toBe(false);
    expect(sameTask(before, read({ metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }))).toBe(false);
  });
});

describe("an Offer", () => {
  test("is told as the broker drafted it", () => {
    expect(projectOffer(offerObject()).facts).toEqual({
      key: "ns/fw-7-0",
      uid: "offer-1",
      framework: "ns/fw",
      concurrency: "Exclusive",
      queue: "default",
      term: "7",
      phase: "Open",
      slices: [
        {
          name: "s0",
          node: "n1",
          nodeUid: "uid-n1",
          resources: { cpu: 2000, memory: 1_048_576 },
          labels: { zone: "a" },
        },
      ],
    });
  });

  test("carries its answer; without a filter, five seconds", () => {
    const answer = { by: "alice", decision: "Accept", launches: [{ task: "t", slice: "s0", count: 2 }] };
    expect(projectOffer(offerObject({ answer })).facts.answer).toEqual({ ...answer, refuseMs: 5_000 });
    const filter = { refuseSeconds: 60 };
    const decline = { by: "alice", decision: "Decline", filter };
    expect(projectOffer(offerObject({ answer: decline })).facts.answer).toMatchObject({
      decision: "Decline",
      refuseMs: 60_000,
    });
  });

  test.each([[{}], ["yes"], [{ by: "alice", decision: "Maybe" }], [{ by: "alice", decision: "Accept", launches: 5 }]])(
    "with an answer that nobody understands (%j) is declined",
    (answer) =>
      expect(projectOffer(offerObject({ answer })).facts.answer).toMatchObject({ decision: "Decline", launches: [] }),
  );

  test("that asks something back tells what, for whom and until when, and carries what is given", () => {
    const release = [{ task: "t", indexes: "0-3" }];
    const candidates = [{ task: "t", slice: "s0", indexes: "0-3" }];
    const inverse = {
      queue: "owner",
      reason: "Guarantee",
      each: { cpu: "2" },
      instances: 2,
      candidates,
      message: "why",
    };
    const object = offerObject({
      spec: { inverse, expiresAt: "2026-01-01T00:00:30Z" },
      answer: { by: "alice", decision: "Accept", release },
    });
    const { facts } = projectOffer(object);
    expect(facts.inverse).toEqual({
      queue: "owner",
      each: { cpu: 2000 },
      instances: 2,
      candidates,
      message: "why",
      expiresAtMs: Date.UTC(2026, 0, 1, 0, 0, 30),
    });
    expect(facts.answer).toMatchObject({ decision: "Accept", launches: [], release });
  });

  test("that asks something back by a time nobody can read asks for it at once: nobody can hold that up", () => {
    expect(projectOffer(offerObject({ spec: { inverse: {}, expiresAt: "soon" } })).facts.inverse).toMatchObject({
      expiresAtMs: 0,
      instances: 1,
    });
  });

  test("whose labels alone have changed is the same", () => {
    const before = projectOffer(offerObject());
    expect(
      sameOffer(before, projectOffer(offerObject({ metadata: { labels: { a: "b" }, resourceVersion: "9" } }))),
    ).toBe(true);
    expect(sameOffer(before, projectOffer(offerObject({ status: { phase: "Expired" } })))).toBe(false);
  });
});

test("whatever an object looks like, reading it does not throw", () => {
  const reader = new TaskReader();
  const projections = [
    projectQueue,
    projectFramework,
    projectOffer,
    (o: unknown) => taskFacts(reader.project(o), undefined),
  ];
  const part = fc.jsonValue({ maxDepth: 4 });
  const object = fc.record({ metadata: part, spec: part, status: part, answer: part }, { requiredKeys: [] });
  fc.assert(
    fc.property(fc.oneof(part, object), (value) => {
      for (const project of projections) project(value);
    }),
    { numRuns: 300 },
  );
});
