import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeObject, decodeWatchEvent, nodeMessage, podMessage } from "./core-v1.ts";
import { frames } from "./pieces.ts";
import { decodeMessage, list, map, message, one, ProtobufError } from "./protobuf.ts";

// Bytes as Go writes them, put together by hand; that they are the API server's own is shown end to end.

const varint = (n: number | bigint): number[] => {
  let rest = BigInt.asUintN(64, BigInt(n));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
};
const int = (field: number, n: number | bigint) => Buffer.from([...varint(field << 3), ...varint(n)]);
const bytes = (field: number, ...parts: readonly (Buffer | string)[]) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(body.length)]), body]);
};
const quantity = (field: number, name: string, amount: string) =>
  bytes(field, bytes(1, name), bytes(2, bytes(1, amount)));
const envelope = (kind: string, ...parts: readonly Buffer[]) =>
  Buffer.concat([
    Buffer.from("k8s\0"),
    bytes(1, bytes(1, "v1"), bytes(2, kind)),
    bytes(2, ...parts),
    bytes(3, ""),
    bytes(4, ""),
  ]);
const frame = (payload: Buffer) => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, payload]);
};

describe("a message", () => {
  const type = message({
    1: one("text"),
    2: one("number", "int"),
    3: one("flag", "bool"),
    4: list("texts"),
    5: map("labels"),
    6: one("at", "time"),
    7: map("amounts", "quantity"),
    20: one("inner", message({ 1: one("text") })),
  });
  const decode = (...parts: readonly Buffer[]) => decodeMessage(type, Buffer.concat(parts));

  test("is read field by field, and what nobody asks for is stepped over", () => {
    const unasked = [
      bytes(8, "x".repeat(300)),
      int(9, 2 ** 40),
      Buffer.from([(10 << 3) | 5, 1, 2, 3, 4]),
      bytes(2_000, "y"),
    ];
    expect(
      decode(
        bytes(1, "grün"),
        ...unasked,
        int(2, 300),
        int(3, 1),
        bytes(4, "a"),
        bytes(4, ""),
        bytes(20, bytes(1, "deep")),
      ),
    ).toEqual({ text: "grün", number: 300, flag: true, texts: ["a", ""], inner: { text: "deep" } });
  });

  test("leaves out what JSON leaves out: empty texts and no time, but no zero", () => {
    expect(decode(bytes(1, ""), bytes(6), int(2, 0), int(3, 0))).toEqual({ number: 0, flag: false });
  });

  test("has maps, whose keys may be named like anything", () => {
    const labels = [bytes(5, bytes(1, "a"), bytes(2, "")), bytes(5, bytes(1, "__proto__"), bytes(2, "x"))];
    const out = decode(...labels, quantity(7, "cpu", "500m"));
    expect(Object.entries(out.labels as object)).toEqual([
      ["a", ""],
      ["__proto__", "x"],
    ]);
    expect(out.amounts).toEqual(Object.assign(Object.create(null), { cpu: "500m" }));
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test("has times and numbers of 64 bits, below zero too", () => {
    expect(decode(bytes(6, int(1, 1_700_000_000), int(2, 5)))).toEqual({ at: "2023-11-14T22:13:20.000Z" });
    for (const n of [-1, -(2 ** 40), 2 ** 31, 2 ** 32, 2 ** 53 - 1]) expect(decode(int(2, n))).toEqual({ number: n });
  });

  test("of any other bytes is refused with an error of its own, or reads as something", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (raw) => {
        try {
          decodeMessage(podMessage, Buffer.from(raw));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ["a field that ends after its message", Buffer.from([0x0a, 5, 1])],
    ["a field that would lead back to its own beginning", Buffer.from([0x0a, ...varint(-11)])],
    ["a number that never ends", Buffer.from([0x10, ...new Array(12).fill(0xff)])],
    ["a number that the bytes cut off", Buffer.from([0x10, 0x80])],
    ["a wire type that is none", Buffer.from([0x0f])],
  ])("with %s is refused", (_, raw) => {
    expect(() => decodeMessage(type, raw)).toThrow(ProtobufError);
  });
});

describe("an object", () => {
  test("comes in an envelope", () => {
    const metadata = bytes(1, bytes(1, "n1"), bytes(5, "uid"), bytes(6, "7"));
    const status = bytes(3, quantity(2, "cpu", "4"), bytes(4, bytes(1, "Ready"), bytes(2, "True")));
    expect(decodeObject(nodeMessage, envelope("Node", metadata, bytes(2, int(4, 1)), status))).toMatchObject({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "n1", uid: "uid", resourceVersion: "7" },
      spec: { unschedulable: true },
      status: { allocatable: { cpu: "4" }, conditions: [{ type: "Ready", status: "True" }] },
    });
    expect(() => decodeObject(nodeMessage, Buffer.from("<html>"))).toThrow(ProtobufError);
  });

  test("is a Status where something went wrong, whatever was asked for", () => {
    const cause = bytes(4, bytes(1, "FieldValueInvalid"), bytes(2, "no"), bytes(3, "spec"));
    const status = envelope(
      "Status",
      bytes(2, "Failure"),
      bytes(3, "too old"),
      bytes(4, "Expired"),
      bytes(5, cause, int(5, 2)),
      int(6, 410),
    );
    const details = { causes: [{ reason: "FieldValueInvalid", message: "no", field: "spec" }], retryAfterSeconds: 2 };
    const decoded = {
      apiVersion: "v1",
      kind: "Status",
      status: "Failure",
      message: "too old",
      reason: "Expired",
      details,
      code: 410,
    };
    expect(decodeObject(podMessage, status)).toEqual(decoded);
    expect(decodeWatchEvent(podMessage, Buffer.concat([bytes(1, "ERROR"), bytes(2, bytes(1, status))]))).toEqual({
      type: "ERROR",
      object: decoded,
    });
  });
});

test("wherever the network cuts a stream, its frames arrive whole", () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 400 }));
  fc.assert(
    fc.property(payloads, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(sent.map((payload) => frame(Buffer.from(payload))));
      const seen: number[][] = [];
      const pieces = frames((payload) => seen.push([...payload]));
      for (let start = 0, i = 0; start < stream.length; i++) {
        const end = start + cuts[i % cuts.length]!;
        pieces.push(stream.subarray(start, end));
        start = end;
      }
      expect(seen).toEqual(sent.map((payload) => [...payload]));
    }),
  );
});

test("a frame that is longer than any object is an error, not all of the memory", () => {
  const pieces = frames(() => {});
  expect(() => pieces.push(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0]))).toThrow(RangeError);
});
