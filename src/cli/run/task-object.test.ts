import { expect, test } from "vitest";
import { taskDefinition, taskSpec } from "../../api/task.ts";
import { linePrefix } from "./prefix.ts";
import { type RunWishes, taskObject } from "./task-object.ts";

const least: RunWishes = {
  name: "t",
  namespace: "a",
  framework: "fw",
  instances: 1,
  image: "busybox:1.37",
  command: ["true"],
  requests: {},
  env: {},
  annotations: {},
  nodeSelector: {},
};

test("what was not asked for is not in the Task", () => {
  expect(taskObject(least, "id")).toEqual({
    apiVersion: "proffer.dev/v1alpha1",
    kind: "Task",
    metadata: { name: "t", namespace: "a", annotations: { "proffer.dev/run": "id" } },
    spec: {
      framework: "fw",
      instances: 1,
      template: { spec: { containers: [{ name: "main", image: "busybox:1.37", command: ["true"] }] } },
    },
  });
});

test("everything that can be asked for makes a Task that the API server takes", () => {
  const { spec } = taskObject(
    {
      ...least,
      queue: "q",
      instances: 4,
      requests: { cpu: "1", memory: "1Gi", "nvidia.com/gpu": "2" },
      env: { A: "b=c" },
      annotations: { note: "x" },
      nodeSelector: { pool: "p" },
      priority: 0,
      retries: 0,
      timeoutSeconds: 90,
      runAsUser: 65_534,
      ttlSeconds: 60,
    },
    "id",
  );
  expect(taskSpec.parse(spec)).toMatchObject(spec);
  expect(spec).toMatchObject({
    queue: "q",
    instances: 4,
    constraints: { nodeSelector: { pool: "p" } },
    priority: 0,
    retry: { limit: 0 },
    ttlSecondsAfterFinished: 60,
    template: {
      metadata: { annotations: { note: "x" } },
      spec: {
        activeDeadlineSeconds: 90,
        securityContext: { runAsUser: 65_534 },
        containers: [
          {
            env: [{ name: "A", value: "b=c" }],
            resources: {
              requests: { cpu: "1", memory: "1Gi", "nvidia.com/gpu": "2" },
              limits: { "nvidia.com/gpu": "2" },
            },
          },
        ],
      },
    },
  });
  expect(taskDefinition.kind).toBe(taskObject(least, "id").kind);
});

test("without a command the image runs what it runs by itself", () => {
  const [container] = taskObject({ ...least, command: [] }, "id").spec.template.spec.containers;
  expect(container).not.toHaveProperty("command");
});

test("lines begin with the instance, and with the attempt if it is not the first", () => {
  expect([linePrefix(0, 0, false), linePrefix(12, 0, false), linePrefix(3, 2, false)]).toEqual([
    "[0] ",
    "[12] ",
    "[3.2] ",
  ]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what it is about
  expect(linePrefix(1, 1, true).replace(/\u001b\[\d+m/g, "")).toBe("[1.1] ");
  expect(linePrefix(1, 1, true)).not.toBe("[1.1] ");
});
