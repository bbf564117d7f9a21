import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { podMessage } from "./core-v1.ts";
import { jsonListReader, type ListReader, protobufListReader } from "./list-reader.ts";
import { list, message, one, ProtobufError } from "./protobuf.ts";
import { encodeMessage } from "./protobuf-writer.ts";

const listMeta = message({ 1: one("metadata", message({ 2: one("resourceVersion"), 3: one("continue") })) });
const listItems = message({ 2: list("items", podMessage) });
const envelope = message({ 1: one("typeMeta", message({ 1: one("apiVersion"), 2: one("kind") })) });
const content = message({ 2: one("raw", "bytes") });
const pod = (name: string, labels = {}) => ({ metadata: { name, uid: `uid-${name}`, resourceVersion: "1", labels } });
/** In the order of Go, which writes two empty fields after the list. */
const goList = (resourceVersion: string, items: object[], next = "") =>
  Buffer.concat([
    Buffer.from("k8s\0"),
    encodeMessage(envelope, { typeMeta: { apiVersion: "v1", kind: "PodList" } }),
    encodeMessage(content, {
      raw: Buffer.concat([
        encodeMessage(listMeta, { metadata: { resourceVersion, continue: next } }),
        encodeMessage(listItems, { items }),
      ]),
    }),
    Buffer.from([0x1a, 0, 0x22, 0]),
  ]);
const json = (resourceVersion: string, items: object[], next = "") =>
  Buffer.from(JSON.stringify({ kind: "PodList", metadata: { resourceVersion, continue: next }, items }));

function read(open: (onItem: (item: unknown) => void) => ListReader, chunks: readonly Buffer[]) {
  const items: unknown[] = [];
  const reader = open((item) => items.push(item));
  for (const chunk of chunks) reader.push(chunk);
  return { items, resourceVersion: reader.end() };
}

const protobuf = (onItem: (item: unknown) => void) => protobufListReader(podMessage, onItem);
const formats = [
  { format: "protobuf", open: protobuf, encode: goList },
  { format: "JSON", open: jsonListReader, encode: json },
];

describe.each(formats)("a list as $format", ({ format, open, encode }) => {
  test("arrives whole wherever the network cuts it", () => {
    const names = fc.array(fc.string({ minLength: 1, maxLength: 300 }));
    const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
    fc.assert(
      fc.property(names, cuts, (all, lengths) => {
        const pods = all.map((name) => pod(name, { a: name }));
        const bytes = encode("7", pods);
        const chunks: Buffer[] = [];
        for (let start = 0, i = 0; start < bytes.length; i++) {
          const end = start + lengths[i % lengths.length]!;
          chunks.push(bytes.subarray(start, end));
          start = end;
        }
        expect(read(open, chunks)).toEqual({ items: pods, resourceVersion: "7" });
      }),
    );
  });

  test("of nothing has a version", () => {
    expect(read(open, [encode("9", [])])).toEqual({ items: [], resourceVersion: "9" });
  });

  test("without a version is none", () => {
    expect(() => read(open, [encode("", [pod("a")])])).toThrow();
  });

  test("that is only a page is none: who takes it for everything deletes the rest", () => {
    expect(() => read(open, [encode("7", [pod("a")], "more")])).toThrow("a page");
  });

  test("that is cut short is none", () => {
    const bytes = encode("7", [pod("a"), pod("b")]);
    const whole = bytes.length - (format === "protobuf" ? 4 : 0);
    for (let end = 0; end < whole; end++) expect(() => read(open, [bytes.subarray(0, end)])).toThrow();
  });
});

describe("what is no list", () => {
  const head = Buffer.from("k8s\0");
  test.each([
    ["another format", Buffer.from("<html>an error page of a proxy</html>")],
    ["a number where an object should be", Buffer.concat([head, Buffer.from([0x08, 1])])],
    ["a length without an end", Buffer.concat([head, Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0xff])])],
    ["a list that says nothing of itself", Buffer.concat([head, Buffer.from([0x12, 4, 0x12, 2, 0x0a, 0])])],
    ["a field number of two bytes", Buffer.concat([head, Buffer.from([0x92, 0x01, 0])])],
    ["a length of six bytes", Buffer.concat([head, Buffer.from([0x12, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])])],
    ["an item that is longer than the list", Buffer.concat([head, Buffer.from([0x12, 3, 0x12, 4, 0, 0, 0, 0])])],
  ])("%s is told", (_, bytes) => {
    expect(() => read(protobuf, [bytes])).toThrow(ProtobufError);
  });

  test("and what comes after the end of the list is none of its items", () => {
    const items: unknown[] = [];
    const reader = protobufListReader(podMessage, (item) => items.push(item));
    expect(() => reader.push(Buffer.concat([head, Buffer.from([0x12, 2, 0x12, 2, 0x0a, 0])]))).toThrow(ProtobufError);
    expect(items).toEqual([]);
  });

  test("an empty list may have null for its items, as Go writes it", () => {
    const bytes = Buffer.from('{"metadata":{"resourceVersion":"7"},"items":null}');
    expect(read(jsonListReader, [bytes])).toMatchObject({ items: [], resourceVersion: "7" });
  });

  test("an item that is longer than any object is an error, not all of the memory", () => {
    const long = Buffer.concat([head, Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x12, 0xff, 0xff, 0xff, 0x7f])]);
    expect(() => read(protobuf, [long])).toThrow(RangeError);
  });
});
