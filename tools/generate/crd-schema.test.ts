import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { constrained, int, list, map, quantity, text, time } from "../../src/api/common.ts";
import { definitions } from "../../src/api/definitions.ts";
import { allowList } from "../../src/api/refused.ts";
import { crdOf, escapeTemplate } from "./crd.ts";
import { problemOf, type SchemaNode, structuralSchema } from "./crd-schema.ts";

const schemaOf = (schema: z.ZodType) => structuralSchema(schema, "x");

describe("a schema becomes structural", () => {
  test.each([
    {
      name: "an int with small bounds is int32",
      schema: int(0, 7),
      is: { type: "integer", minimum: 0, maximum: 7, format: "int32" },
    },
    {
      name: "an int with large bounds is int64",
      schema: int(0, 2 ** 40),
      is: { type: "integer", minimum: 0, maximum: 2 ** 40, format: "int64" },
    },
    {
      name: "a time keeps its format and loses its pattern",
      schema: time(),
      is: { type: "string", format: "date-time", maxLength: 64 },
    },
    {
      name: "a refused field has its real type, and its rule at itself, where it costs nothing unless it is given",
      schema: allowList({}, { hostNetwork: ["switch", "no"] }, "x"),
      is: {
        type: "object",
        properties: {
          hostNetwork: {
            type: "boolean",
            description: "Refused when true: no.",
            "x-kubernetes-validations": [{ rule: "!self", message: "no" }],
          },
        },
      },
    },
    {
      name: "a default is written out whole",
      schema: z.object({ a: z.object({ b: int(0, 1).default(1), c: int(0, 1).optional() }).prefault({}) }).prefault({}),
      is: expect.objectContaining({ default: { a: { b: 1 } } }),
    },
  ])("$name", ({ schema, is }) => expect(schemaOf(schema)).toEqual(is));

  test("a quantity is an int-or-string in the one form that the API server takes", () => {
    expect(schemaOf(quantity())).toMatchObject({
      "x-kubernetes-int-or-string": true,
      minimum: 0,
      maxLength: 32,
    });
  });

  test.each([
    { name: "a string without a bound", schema: z.string(), says: "maxLength" },
    { name: "a list without a bound", schema: z.array(text(3)), says: "maxItems" },
    { name: "a map without a bound", schema: z.record(z.string(), text(3)), says: "maxProperties" },
    {
      name: "an integer without bounds",
      schema: z.object({ a: z.int32().meta({ minimum: undefined }) }),
      says: "bounds",
    },
    { name: "a union", schema: z.union([text(3), int(0, 3)]), says: "union" },
    { name: "a null", schema: z.object({ a: text(3).nullable() }), says: "nullable" },
    { name: "anything", schema: z.object({ a: z.unknown() }), says: "no form" },
    { name: "a lookahead", schema: z.object({ a: text(3).regex(/^(?!a)/) }), says: "lookaround" },
    { name: "a number with a fraction", schema: z.object({ a: z.number() }), says: "no form" },
  ])("$name is refused", ({ schema, says }) => expect(() => schemaOf(schema)).toThrow(says));

  test("what is made of bounded parts has no problem anywhere", () => {
    const { schema: tree } = fc.letrec<{ schema: z.ZodType; leaf: z.ZodType }>((tie) => ({
      leaf: fc.oneof(
        fc.integer({ min: 1, max: 99 }).map((max) => text(max)),
        fc.integer({ min: 1, max: 99 }).map((max) => int(-max, max)),
        fc.constant(z.boolean()),
        fc.constant(quantity()),
        fc.constant(z.enum(["a", "b"])),
        fc.constant(time()),
      ),
      schema: fc.oneof(
        { depthSize: "small" },
        tie("leaf"),
        tie("schema").map((item) => list(item, 5)),
        tie("schema").map((value) => map(value, 5)),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie("schema"), { maxKeys: 4 }).map((shape) => z.object(shape)),
        tie("schema").map((inner) => z.object({ inner: inner.optional().describe("x") })),
        tie("schema").map((inner) => constrained(inner, { cel: "true", message: "x" })),
      ),
    }));
    fc.assert(
      fc.property(tree, (schema) => {
        expect([...walk(schemaOf(schema))].map(([, node]) => problemOf(node)).filter(Boolean)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

/** Every node of a schema with its path. */
function* walk(node: SchemaNode, path = ""): Generator<[path: string, node: SchemaNode]> {
  yield [path, node];
  for (const [name, child] of Object.entries(node.properties ?? {})) yield* walk(child, `${path}.${name}`);
  if (node.items) yield* walk(node.items, `${path}[]`);
  if (node.additionalProperties) yield* walk(node.additionalProperties, `${path}{}`);
}

describe.each(definitions.map((definition) => ({ kind: definition.kind, definition })))("$kind", ({ definition }) => {
  const root = crdOf(definition).spec.versions[0]!.schema.openAPIV3Schema;
  // What the API server itself defines has no bounds of ours.
  const nodes = Object.keys(definition.members).flatMap((member) => [...walk(root.properties![member]!, member)]);

  test("has bounds on every list, map, string and integer, and nothing a CRD cannot say", () => {
    expect(nodes.map(([path, node]) => [path, problemOf(node)]).filter(([, problem]) => problem)).toEqual([]);
  });

  test("describes every field", () => {
    const undescribed = nodes.filter(([path, node]) => /\.\w+$/.test(path) && !node.description);
    expect(undescribed.map(([path]) => path)).toEqual([]);
  });

  test("points its rules at fields that exist", () => {
    for (const [path, node] of [["", root] as const, ...nodes]) {
      for (const { fieldPath } of node["x-kubernetes-validations"] ?? []) {
        if (!fieldPath) continue;
        const parts = fieldPath.slice(1).split(".");
        const target = parts.reduce<SchemaNode | undefined>((at, part) => at?.properties?.[part], node);
        expect(target, `${path}: ${fieldPath}`).toBeDefined();
      }
    }
  });

  test("is shown by `kubectl get all` of a namespace if it belongs to one", () => {
    const { scope, names } = crdOf(definition).spec;
    expect(names.categories).toEqual(scope === "Namespaced" ? ["all", "proffer"] : ["proffer"]);
    expect(scope).toBe(definition.kind === "Queue" ? "Cluster" : "Namespaced");
  });

  test("has no mark of the generator's own", () => {
    expect(JSON.stringify(root)).not.toContain("x-proffer");
  });
});

test("braces that Helm would take for its own are expressions that yield them", () => {
  expect(escapeTemplate("a {{ b }} c")).toBe('a {{ "{{" }} b {{ "}}" }} c');
});
