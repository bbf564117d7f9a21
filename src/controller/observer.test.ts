import { describe, expect, test } from "vitest";
import type { Input, PodFacts } from "../offers/messages.ts";
import { compareResourceVersions } from "./kube/resource-version.ts";
import { podObject, queueObject } from "./objects.test-support.ts";
import { Settling } from "./observe/node.ts";
import { type ObservedPod, projectPod } from "./observe/pod.ts";
import { projectQueue } from "./observe/queue.ts";
import { Observer, type ObserverOptions } from "./observer.ts";
import { noLogger } from "./telemetry.ts";

type Json = Record<string, unknown>;

function setUp({ cached = undefined as ObservedPod | undefined, passed = "0" } = {}) {
  const inputs: Input[] = [];
  const pods = {
    get: () => (cached === undefined ? undefined : { uid: cached.uid, resourceVersion: "1", object: cached }),
    hasPassed: (version: string) => compareResourceVersions(passed, version) >= 0,
  };
  const queue = { observed: () => {}, changed: () => {}, gone: () => {} };
  const observer = new Observer({
    world: { pods } as unknown as ObserverOptions["world"],
    feed: (input) => inputs.push(input),
    nowMs: () => 0,
    settling: new Settling(0),
    statuses: { queue } as unknown as ObserverOptions["statuses"],
    offers: { observed: () => {}, gone: () => {} },
    pods: { seen: () => {} },
    programs: { frameworkChanged: () => {}, podChanged: () => {} },
    log: noLogger,
    forgetTask: () => {},
    queueGone: () => {},
  });
  return { observer, inputs, types: () => inputs.map(({ type }) => type) };
}

const own = (over: Parameters<typeof podObject>[0] = {}) =>
  projectPod(podObject(over)) as ObservedPod & { facts: PodFacts };

describe("a queue", () => {
  const status = { observedGeneration: 1, lastGood: { generation: 1, inForce: true, spec: { weight: 2 } } };
  const seen = (spec: Json, generation: number) => {
    const { metadata, ...object } = queueObject("q", spec) as Json;
    return projectQueue({ ...object, metadata: { ...(metadata as Json), generation }, status });
  };

  test("is told with what was recorded of it when a term first sees it, and never after: the broker knows better", () => {
    const { observer, inputs } = setUp();
    const [first, again, changed] = [seen({ weight: 3 }, 2), seen({ weight: 3 }, 2), seen({ weight: 4 }, 3)];
    observer.queue({ type: "upsert", key: "q", uid: "u", object: first, previous: undefined });
    observer.queue({ type: "upsert", key: "q", uid: "u", object: again, previous: first });
    observer.queue({ type: "upsert", key: "q", uid: "u", object: changed, previous: again });
    expect(inputs).toEqual([
      { type: "queue-observed", queue: first.facts, recorded: first.recorded },
      { type: "queue-observed", queue: changed.facts },
    ]);
    expect(first.recorded).toMatchObject({ inForce: true, lastGood: { weight: 2, generation: 1 } });
  });

  test("that breaks a rule is told as such: what was in force before may stay", () => {
    const { observer, inputs } = setUp();
    const broken = seen({ weight: -1 }, 2);
    observer.queue({ type: "upsert", key: "q", uid: "u", object: broken, previous: seen({ weight: 2 }, 1) });
    observer.queue({ type: "delete", key: "q", uid: "u", object: broken });
    expect(inputs).toMatchObject([
      { type: "queue-observed", queue: { invalid: expect.stringContaining("spec.weight") } },
      { type: "queue-gone", name: "q" },
    ]);
  });
});

describe("a pod that the API server has confirmed (point 7: absence releases nothing)", () => {
  test("is not gone because a list from before its creation lacks it, but because a later one does", () => {
    const { observer, types } = setUp();
    observer.podCreated(own().facts, "60");
    observer.pod({ type: "synced", resourceVersion: "59" });
    expect(types()).toEqual(["pod-created"]);
    observer.pod({ type: "synced", resourceVersion: "60" });
    expect(types()).toEqual(["pod-created", "pod-gone"]);
    observer.pod({ type: "synced", resourceVersion: "70" });
    expect(types()).toEqual(["pod-created", "pod-gone"]);
  });

  test("and that the watch has shown since is the watch's to end", () => {
    const { observer, types } = setUp();
    const pod = own();
    observer.podCreated(pod.facts, "60");
    observer.pod({ type: "upsert", key: "ns/p", uid: pod.uid, object: pod, previous: undefined });
    observer.pod({ type: "synced", resourceVersion: "70" });
    expect(types()).toEqual(["pod-created", "pod-observed"]);
  });

  test("is told as the cache has it where that has seen more", () => {
    const running = own({ status: { phase: "Running" } });
    const { observer, inputs } = setUp({ cached: running, passed: "70" });
    observer.podCreated(own().facts, "60");
    expect(inputs).toEqual([{ type: "pod-created", pod: running.facts }]);
  });

  test("has come and gone when the cache is past it and does not have it", () => {
    const { observer, types } = setUp({ passed: "60" });
    observer.podCreated(own().facts, "60");
    expect(types()).toEqual(["pod-created", "pod-gone"]);
  });

  test("is not taken for another one of its name", () => {
    const { observer, types } = setUp({ cached: own({ metadata: { uid: "older" } }), passed: "50" });
    observer.podCreated(own().facts, "60");
    expect(types()).toEqual(["pod-created"]);
    observer.pod({ type: "synced", resourceVersion: "60" });
    expect(types()).toEqual(["pod-created", "pod-gone"]);
  });
});

describe("pods of others", () => {
  const foreign = (over: Parameters<typeof podObject>[0] = {}) =>
    projectPod(podObject({ ...over, metadata: { labels: {}, ...over.metadata } }));
  const upsert = (object: ObservedPod, previous?: ObservedPod) =>
    ({ type: "upsert", key: "ns/p", uid: object.uid, object, previous }) as const;

  test("are told when they come, when their requests change, and when they go", () => {
    const { observer, types } = setUp();
    observer.pod(upsert(foreign()));
    observer.pod(upsert(foreign({ status: { phase: "Running" } }), foreign()));
    expect(types()).toEqual(["foreign-pod-observed"]);
    const larger = foreign({ spec: { containers: [{ resources: { requests: { cpu: "9" } } }] } });
    observer.pod(upsert(larger, foreign()));
    observer.pod({ type: "delete", key: "ns/p", uid: "pod-1", object: larger });
    expect(types()).toEqual(["foreign-pod-observed", "foreign-pod-observed", "foreign-pod-gone"]);
  });

  test("that become ours change sides", () => {
    const { observer, types } = setUp();
    observer.pod(upsert(foreign()));
    observer.pod(upsert(own(), foreign()));
    expect(types()).toEqual(["foreign-pod-observed", "foreign-pod-gone", "pod-observed"]);
  });
});
