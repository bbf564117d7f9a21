import { describe, expect, test } from "vitest";
import { decodeMessage, inline, list, map, message, one } from "./protobuf.ts";
import { encodeMessage, keepEncodings } from "./protobuf-writer.ts";

const inner = message({ 1: one("text"), 2: one("yes", "bool") });
const all = message({
  1: one("text"),
  2: one("number", "int"),
  3: one("yes", "bool"),
  4: list("texts"),
  5: map("words"),
  6: map("amounts", "quantity"),
  7: one("inner", inner),
  8: list("inners", inner),
  9: list("numbers", "int"),
});

const back = (object: Record<string, unknown>) => decodeMessage(all, encodeMessage(all, object));

describe("what is written", () => {
  test.each<{ name: string; object: Record<string, unknown> }>([
    { name: "nothing", object: {} },
    { name: "a text", object: { text: "plain" } },
    { name: "a text beyond ASCII", object: { text: "größer – 大" } },
    { name: "a long text", object: { text: "x".repeat(100_000) } },
    { name: "numbers of every size", object: { numbers: [0, 1, 127, 128, 300, 2 ** 31, 2 ** 40, -1, -300] } },
    { name: "false and zero, which is not the same as absent", object: { yes: false, number: 0 } },
    { name: "lists in their order", object: { texts: ["a", "", "c"], inners: [{ text: "x" }, {}, { yes: true }] } },
    { name: "maps", object: { words: { a: "1", "": "none", c: "" }, amounts: { cpu: "100m" } } },
    { name: "an empty object", object: { inner: {} } },
  ])("is read back: $name", ({ object }) => expect(back(object)).toEqual(object));

  test("is what Go writes", () => {
    const bytes = encodeMessage(message({ 1: one("name"), 21: one("mount", "bool") }), { mount: false, name: "é" });
    expect(bytes.toString("hex")).toBe("0a02c3a9a80100");
  });

  test("leaves out what is undefined", () => expect(back({ text: undefined, number: 1 })).toEqual({ number: 1 }));

  test("has a quantity that JSON gives as a number", () =>
    expect(back({ amounts: { cpu: 2 } })).toEqual({ amounts: { cpu: "2" } }));

  test("puts embedded messages together that JSON has apart", () => {
    const embedding = message({ 1: inline(inner), 2: one("own") });
    const apart = message({ 1: one("embedded", inner), 2: one("own") });
    const bytes = encodeMessage(embedding, { text: "x", own: "y" });
    expect(decodeMessage(apart, bytes)).toEqual({ embedded: { text: "x" }, own: "y" });
  });
});

test.each<{ name: string; object: Record<string, unknown>; says: RegExp }>([
  { name: "an unknown member", object: { other: 1 }, says: /no field is called other/ },
  { name: "an unknown member further down", object: { inner: { other: 1 } }, says: /other/ },
  { name: "a number for a text", object: { text: 1 }, says: /text is no text/ },
  { name: "a fraction", object: { number: 1.5 }, says: /number is no integer/ },
  { name: "a text for a truth", object: { yes: "true" }, says: /neither true nor false/ },
  { name: "a text for a list", object: { texts: "abc" }, says: /texts is no list/ },
  { name: "a list for an object", object: { inner: [] }, says: /inner is no object/ },
  { name: "null", object: { words: null }, says: /words is no object/ },
])("nothing is written that would not arrive: $name", ({ object, says }) =>
  expect(() => encodeMessage(all, object)).toThrow(says),
);

describe("an encoding that is kept", () => {
  test("is the same as one that is not", () => {
    const make = () => ({ text: "é".repeat(5_000), inners: [{ text: "x" }, { yes: true }] });
    const kept = keepEncodings({ inner: { text: "deep" }, ...make() });
    const fresh = { inner: { text: "deep" }, ...make() };
    for (let i = 0; i < 3; i++) expect(encodeMessage(all, kept)).toEqual(encodeMessage(all, fresh));
  });

  test("is of the type it was made for", () => {
    const object = keepEncodings({ text: "x" });
    const other = message({ 5: one("text") });
    const outer = (type: typeof other) => message({ 1: one("part", type) });
    for (const type of [inner, other, inner]) {
      const bytes = encodeMessage(outer(type), { part: object });
      expect(decodeMessage(outer(type), bytes)).toEqual({ part: { text: "x" } });
    }
  });
});
