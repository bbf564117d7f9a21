import type { FakeCluster } from "./fake-cluster.test-support.ts";
import { runTask } from "./run-task.ts";
import { taskObject } from "./task-object.ts";

/** Two instances of a Task `t`. */
export const wishes = {
  name: "t",
  namespace: "a",
  framework: "fw",
  instances: 2,
  image: "busybox",
  command: ["true"],
  requests: {},
  env: {},
  annotations: {},
  nodeSelector: {},
};

/** Runs the Task `t` of two instances; resolves with the exit code. */
export function startRun(cluster: FakeCluster, { remove = false, maxLogs = 10 } = {}): Promise<number> {
  const { onInterrupt } = cluster;
  const task = taskObject(wishes, "this-call");
  return runTask({ session: cluster.session(), task, remove, prefix: true, maxLogs, onInterrupt });
}
