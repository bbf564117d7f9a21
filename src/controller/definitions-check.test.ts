import { describe, expect, test } from "vitest";
import { z } from "zod";
import { definitions } from "../api/definitions.ts";
import { missingFields, outdatedDefinitions } from "./definitions-check.ts";
import { status } from "./fake-kube.test-support.ts";
import type { Transport } from "./kube/transport.ts";

// biome-ignore lint/suspicious/noExplicitAny: schemas are taken apart
type Schema = any;

/** What an API server publishes whose definitions are of this very version. */
function publishedNow(): { components: { schemas: Record<string, Schema> } } {
  const schemas = definitions.map(({ kind, members }) => {
    const properties = Object.fromEntries(
      Object.entries(members).map(([name, schema]) => [
        name,
        z.toJSONSchema(schema, { io: "input", reused: "inline" }),
      ]),
    );
    return [kind, { properties, "x-kubernetes-group-version-kind": [{ group: "proffer.dev", kind }] }];
  });
  return structuredClone({ components: { schemas: Object.fromEntries(schemas) } });
}

function askedOf(answer: unknown): Promise<string | undefined> {
  const request = () => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer));
  return outdatedDefinitions({ request } as unknown as Transport, {});
}

describe("definitions", () => {
  test("of the operator's version lack nothing", async () => {
    expect(await askedOf(publishedNow())).toBeUndefined();
  });

  test("that are older are named, with the fields that would be dropped", async () => {
    const older = publishedNow();
    const { properties } = older.components.schemas.Task;
    delete properties.status.properties.why;
    delete properties.spec.properties.retry.properties.onNodeLost;
    expect(await askedOf(older)).toBe(
      "the custom resource definition tasks.proffer.dev is older than this operator: v1alpha1 has no spec.retry.onNodeLost, status.why; apply the definitions of the operator's version (the chart, or crds/)",
    );
  });

  test("that lack much are told in one line", async () => {
    const older = publishedNow();
    older.components.schemas.Queue.properties.spec.properties = {};
    expect(await askedOf(older)).toMatch(/queues\.proffer\.dev .* has no (spec\.\w+, ){2}spec\.\w+ and \d+ more;/);
  });

  test("that are newer have more, and that is fine", async () => {
    const newer = publishedNow();
    newer.components.schemas.Task.properties.spec.properties.later = { type: "string" };
    expect(await askedOf(newer)).toBeUndefined();
  });

  test.each([
    ["does not let one look", status(403, "Forbidden")],
    ["has none to show", status(404, "NotFound")],
    ["shows others", { components: { schemas: {} } }],
    ["shows something else", "a proxy's page"],
  ])("are not known where the API server %s", async (_, answer) => {
    expect(await askedOf(answer)).toBe("unknown");
  });

  test("are asked for again when the API server does not answer", async () => {
    await expect(askedOf(status(503, "ServiceUnavailable"))).rejects.toMatchObject({ status: 503 });
  });
});

describe("fields", () => {
  const definition = (spec: z.ZodType) => ({ ...definitions[0]!, members: { spec } });
  const entry = z.object({ kept: z.string(), dropped: z.string() });
  const has = { properties: { kept: { type: "string" } } };

  test("are looked for in lists and maps as well", () => {
    const ours = definition(z.object({ list: z.array(entry), map: z.record(z.string(), entry) }));
    const theirs = { properties: { list: { items: has }, map: { additionalProperties: has } } };
    expect(missingFields(ours, { properties: { spec: theirs } })).toEqual([
      "spec.list[].dropped",
      "spec.map.*.dropped",
    ]);
  });

  test("are all kept below a field that keeps what it does not know", () => {
    const ours = definition(z.object({ free: entry }));
    const theirs = { properties: { free: { "x-kubernetes-preserve-unknown-fields": true } } };
    expect(missingFields(ours, { properties: { spec: theirs } })).toEqual([]);
  });

  test("that are missing whole are one", () => {
    expect(missingFields(definition(z.object({ whole: entry })), { properties: { spec: {} } })).toEqual(["spec.whole"]);
    expect(missingFields(definition(entry), { properties: {} })).toEqual(["spec"]);
  });
});
