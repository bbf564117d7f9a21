import { expect, test } from "vitest";
import { type ValueSchema, valuesReference, valuesReferenceGenerator } from "./values.ts";

const schema: ValueSchema = {
  definitions: { seconds: { description: "Not about a value", type: "integer", minimum: 1, maximum: 60 } },
  properties: {
    plain: { type: "string" },
    group: {
      type: "object",
      properties: {
        wait: { $ref: "#/definitions/seconds" },
        mode: { enum: ["a", "b"] },
        extra: { type: "boolean", description: "Known to the schema alone" },
      },
    },
    labels: { type: "object", additionalProperties: { type: "string" } },
    peers: { type: "array", maxItems: 3, items: { type: "object", properties: { name: { type: "string" } } } },
    share: { anyOf: [{ type: "number", exclusiveMinimum: 0, maximum: 1 }, { const: "all" }] },
  },
};

const values = `# About the file.

# What it | is for.
plain: ""
# What belongs together.
group:
  # How long,
  # at most.
  wait: 5
  # Which of them.
  mode: a
# With a default that is a map.
labels:
  a/b: c
# Who.
peers: []
# How much.
share: 0.5
`;

test("every value is told with what it may be, its default and its comment", () => {
  const rows = valuesReference(schema, values)
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| Value"));
  expect(rows).toEqual([
    '| `plain` | text | `""` | What it \\| is for. |',
    "| **`group`** |  |  | What belongs together. |",
    "| `group.wait` | whole number, 1–60 | `5` | How long, at most. |",
    '| `group.mode` | `a`, `b` | `"a"` | Which of them. |',
    "| `group.extra` | `true`, `false` |  | Known to the schema alone |",
    '| `labels` | map to texts | `{"a/b":"c"}` | With a default that is a map. |',
    "| `peers` | list of objects with `name`, at most 3 | `[]` | Who. |",
    '| `share` | number above 0, at most 1 or only `"all"` | `0.5` | How much. |',
  ]);
});

test.each([
  { name: "a default without a schema", text: `${values}# What.\nodd: 1\n`, says: "has odd" },
  { name: "a value that nobody explains", text: values.replace("  # Which of them.\n", ""), says: "group.mode" },
])("$name is an error", ({ text, says }) => expect(() => valuesReference(schema, text)).toThrow(says));

test("the chart's own values are all told", async () => {
  const [output] = await valuesReferenceGenerator.generate();
  expect(output?.path).toBe("docs/reference/values.md");
  expect(output?.content).toMatch(/^\| `leaderElection\.leaseSeconds` \| whole number, 4–600 \| `6` \| .+ \|$/m);
});
