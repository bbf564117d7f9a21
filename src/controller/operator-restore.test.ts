import { afterEach, expect, test } from "vitest";
import { nodeObject, podObject, taskObject } from "./objects.test-support.ts";
import { create, fill, setUp, stopWorlds } from "./operator.test-support.ts";

// etcd goes back to a backup under an operator that runs on.

afterEach(stopWorlds);

test("the next term begins with what is there after a restore, and goes on with what the watches show", async () => {
  const { kube, clock, world, operator, brokers, broker, lead, lose, logged } = setUp();
  fill(kube);
  const restore = kube.backup();
  await lead("7");
  kube.remove("tasks", kube.all("tasks")[0]);
  kube.remove("pods", kube.all("pods")[0]);
  kube.put("tasks", taskObject({ metadata: { name: "since", uid: "since" } }));
  kube.put("pods", podObject({ metadata: { name: "since", uid: "pod-since", resourceVersion: undefined } }));
  for (let i = 0; i < 50; i++) kube.put("nodes", nodeObject("n1", { metadata: { annotations: { beat: String(i) } } }));
  await clock.advance(100);
  const [taskUid, podUid] = [broker().of("task-observed")[0]?.task.uid, broker().of("pod-observed")[0]?.pod.uid];
  restore();
  lose();
  operator.doubted("restored");
  expect(logged.at(-1)).toMatch("restored from a backup");
  await clock.advance(100);
  // A standby's caches, too, are right at once.
  expect([...world.tasks.entries()].map(([, { uid }]) => uid)).toEqual([taskUid]);
  await lead("6");
  expect(brokers.map(({ term }) => term)).toEqual(["7", "6"]);
  expect(
    broker()
      .of("task-observed")
      .map(({ task }) => task.uid),
  ).toEqual([taskUid]);
  expect(
    broker()
      .of("pod-observed")
      .map(({ pod }) => pod.uid),
  ).toEqual([podUid]);
  broker().inputs.length = 0;
  kube.put("tasks", taskObject({ metadata: { name: "after", uid: "after" } }));
  await clock.advance(100);
  expect(broker().types()).toEqual(["task-observed"]);
});

test("a pod that is created after a restore is not taken for gone because its version has been passed before", async () => {
  const { kube, clock, operator, broker, lead, lose } = setUp({
    react: (scripted) => {
      scripted.react = (input) => (input.type === "opened" && scripted.term === "6" ? [create] : []);
    },
  });
  fill(kube);
  kube.remove("pods", kube.all("pods")[0]);
  const restore = kube.backup();
  await lead("7");
  for (let i = 0; i < 50; i++) kube.put("pods", podObject({ metadata: { resourceVersion: undefined } }));
  await clock.advance(100);
  restore();
  lose();
  operator.doubted("restored");
  await clock.advance(100);
  // The watch is late: the answer to the create comes first.
  const put = kube.put.bind(kube);
  kube.put = (plural, object) => {
    if (plural === "pods") kube.mute();
    return put(plural, object);
  };
  await lead("6");
  expect(broker().of("pod-created")).toHaveLength(1);
  expect(broker().types()).not.toContain("pod-gone");
});

test("a large cache, which is not listed again for a new term, is if it had seen more than there is", async () => {
  const { kube, clock, broker, lead, lose } = setUp();
  fill(kube);
  for (let i = 0; i < 1_001; i++) kube.put("tasks", taskObject({ metadata: { name: `t${i}`, uid: `t${i}` } }));
  const restore = kube.backup();
  await lead("7");
  kube.put("tasks", taskObject({ metadata: { name: "since", uid: "since" } }));
  kube.remove("tasks", taskObject({ metadata: { name: "t0" } }));
  await clock.advance(100);
  restore();
  lose();
  // Nobody has told.
  await lead("6");
  const uids = new Set(
    broker()
      .of("task-observed")
      .map(({ task }) => task.uid),
  );
  expect([uids.has("since"), uids.has("t0")]).toEqual([false, true]);
});
