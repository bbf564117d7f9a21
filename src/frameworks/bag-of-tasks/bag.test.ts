import { describe, expect, test } from "vitest";
import { problemsOf } from "../../api/common.ts";
import { taskDefinition } from "../../api/task.ts";
import { type BagDefaults, parseBag, uniformBag } from "./bag.ts";

const defaults: BagDefaults = { bag: "b", image: "busybox", retryLimit: 0, queue: undefined, podAnnotations: {} };

/** Entries are Tasks that the API server takes. */
function checked(entries: ReturnType<typeof parseBag>) {
  for (const { name, spec } of entries) {
    const task = { metadata: { name }, spec: { ...spec, framework: "f" } };
    expect(problemsOf(taskDefinition, task)).toEqual([]);
  }
  return entries;
}

describe("a bag", () => {
  test("is a file of JSON lines, a task each", () => {
    const text = `# comment
{"durationSeconds": 1.5}

{"name": "big", "instances": 3, "resources": {"cpu": 2, "nvidia.com/gpu": 1}, "command": ["a"], "env": {"A": "b"},
`.replace(",\n", ', "priority": 5, "nodeSelector": {"zone": "a"}, "annotations": {"a/d": "e"}, "image": "i"}\n');
    const entries = checked(parseBag(text, { ...defaults, retryLimit: 2, queue: "q", podAnnotations: { "a/b": "c" } }));
    expect(entries.map(({ name, spec }) => [name, spec.instances])).toEqual([
      ["b-2", 1],
      ["b-big", 3],
    ]);
    expect(entries[0]!.spec.template.spec.containers[0]!.command).toEqual(["sleep", "1.5"]);
    expect(entries[0]!.spec.template.metadata).toEqual({ annotations: { "a/b": "c" } });
    expect(entries[1]!.spec).toMatchObject({
      queue: "q",
      priority: 5,
      retry: { limit: 2 },
      constraints: { nodeSelector: { zone: "a" } },
      template: {
        metadata: { annotations: { "a/b": "c", "a/d": "e" } },
        spec: { containers: [{ image: "i", resources: { limits: { "nvidia.com/gpu": 1 } } }] },
      },
    });
  });

  test("of many equal instances is as few tasks as can hold them", () => {
    const entries = checked(uniformBag({ instances: 25_000 }, defaults));
    expect(entries.map(({ name, spec }) => [name, spec.instances])).toEqual([
      ["b-1-0", 10_000],
      ["b-1-1", 10_000],
      ["b-1-2", 5_000],
    ]);
  });

  test.each([
    { name: "a line that is no JSON", text: "{}\n{", says: "line 2 is no JSON" },
    { name: "a field that does not exist", text: '{"cpu": 1}', says: /line 1: .*cpu/ },
    { name: "a quantity that is none", text: '{"resources": {"cpu": "lots"}}', says: "line 1: resources.cpu" },
    { name: "a name twice", text: '{"name": "a"}\n{"name": "a"}', says: "two lines are named b-a" },
    { name: "a name that is no label", text: '{"name": "A"}', says: "DNS label" },
    { name: "root", text: '{"runAsUser": 0}', says: "runAsUser" },
  ])("with $name is refused", ({ text, says }) => expect(() => parseBag(text, defaults)).toThrow(says));

  test("whose tasks' names would be too long is refused", () => {
    expect(() => uniformBag({}, { ...defaults, bag: "b".repeat(62) })).toThrow("longer than 63");
  });
});
