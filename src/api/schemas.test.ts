import { describe, expect, test } from "vitest";
import { problemsOf } from "./common.ts";
import { definitions } from "./definitions.ts";
import { examples } from "./objects.test-support.ts";
import { parsePodTemplate } from "./pod-template.ts";
import { fullTemplate, templateExamples } from "./templates.test-support.ts";

const problems = (object: { kind: string }) =>
  problemsOf(definitions.find(({ kind }) => kind === object.kind)!, object).join("\n");

describe("objects", () => {
  test.each([...examples, ...templateExamples])("$name", ({ object, refused }) => {
    if (refused === undefined) expect(problems(object)).toBe("");
    else expect(problems(object)).toMatch(refused);
  });
});

describe("a template that is parsed", () => {
  test("has all that is on the list", () => {
    const parsed = parsePodTemplate(fullTemplate);
    expect(parsed).toEqual({ ok: true, template: expect.objectContaining({ metadata: fullTemplate.metadata }) });
    expect(parsed.ok && parsed.template.spec.containers[0]).toMatchObject(fullTemplate.spec.containers[0]!);
  });

  test("has nothing that is not on the list", () => {
    const container = { name: "a", image: "b", futureField: {}, securityContext: { futureSwitch: true } };
    const parsed = parsePodTemplate({ spec: { containers: [container], futureField: 1 }, futureField: 1 });
    const spec = { containers: [{ name: "a", image: "b", securityContext: {} }], restartPolicy: "Never" };
    expect(parsed).toEqual({ ok: true, template: { spec } });
  });

  test("keeps off the prototype", () => {
    const labels = JSON.parse('{"__proto__": "polluted", "constructor": "a"}');
    parsePodTemplate({ metadata: { labels }, spec: { containers: [{ name: "a", image: "b" }] } });
    expect(Object.prototype).not.toHaveProperty("polluted");
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("0");
  });

  test("is refused with every problem at once", () => {
    const parsed = parsePodTemplate({ spec: { hostNetwork: true, nodeName: "a", containers: [] } });
    expect(parsed).toEqual({ ok: false, problems: [expect.any(String), expect.any(String), expect.any(String)] });
  });
});
