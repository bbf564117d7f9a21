import { describe, expect, test } from "vitest";
import { problemsOf } from "../../api/common.ts";
import { type Framework, frameworkDefinition, frameworkSpec } from "../../api/framework.ts";
import { prepareFramework } from "./prepare-framework.ts";

const wishes = { username: "me", queue: "q", optimistic: false };
const framework = (spec: object): Framework =>
  ({ metadata: { name: "f" }, spec: frameworkSpec.parse(spec) }) as Framework;
const ours = { queues: [{ name: "q" }], scheduler: { type: "Offers" }, answerers: ["me"] };

describe("a framework", () => {
  test("is created as one that answers its own offers", async () => {
    let created: object = {};
    await prepareFramework(
      {
        createFramework: async (spec) => {
          created = spec;
          return framework(spec);
        },
      },
      { ...wishes, optimistic: true },
    );
    expect(problemsOf(frameworkDefinition, { metadata: { name: "f" }, spec: created })).toEqual([]);
    expect(created).toMatchObject({ ...ours, concurrency: "Optimistic", suppressed: true });
  });

  test.each([
    { name: "that the operator schedules", spec: {}, says: "placed by the operator" },
    {
      name: "that others answer for",
      spec: { ...ours, answerers: ["you"] },
      says: "add that name to its spec.answerers",
    },
    { name: "of another queue", spec: { ...ours, queues: [{ name: "other" }] }, says: "does not use the queue q" },
    { name: "of the other concurrency", spec: { ...ours, concurrency: "Optimistic" }, says: "add --optimistic" },
  ])("$name is left alone", async ({ spec, says }) => {
    await expect(prepareFramework({ createFramework: async () => framework(spec) }, wishes)).rejects.toThrow(says);
  });
});
