import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodedOnce } from "./decoded-once.ts";
import { common, decodeMessage, list, map, message, one } from "./protobuf.ts";

const text = (field: number, value: string) =>
  Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), Buffer.from(value)]);
const nested = (field: number, ...parts: readonly Buffer[]) => text(field, Buffer.concat(parts).toString("latin1"));

describe("what many objects have the same", () => {
  const owner = message({ 1: one("kind"), 4: one("uid") });
  const type = message({
    1: common(one("queue")),
    2: common(list("owners", owner)),
    3: common(map("labels")),
    4: one("own"),
  });
  const bytes = () =>
    Buffer.concat([
      text(1, "research"),
      nested(2, text(1, "Task"), text(4, "u-1")),
      nested(3, text(1, "app"), text(2, "x")),
      text(4, "research"),
    ]);

  test("is decoded once, and is the very same afterwards", () => {
    const [a, b] = [decodeMessage(type, bytes()), decodeMessage(type, bytes())];
    expect(a).toEqual({
      queue: "research",
      owners: [{ kind: "Task", uid: "u-1" }],
      labels: { app: "x" },
      own: "research",
    });
    expect(b).toEqual(a);
    expect((b.owners as unknown[])[0]).toBe((a.owners as unknown[])[0]);
    expect(b.owners).not.toBe(a.owners);
    expect(b.labels).not.toBe(a.labels);
  });

  test("nobody can change for the others", () => {
    const { owners } = decodeMessage(type, bytes()) as { owners: { uid: string }[] };
    expect(() => {
      owners[0]!.uid = "u-2";
    }).toThrow(TypeError);
  });

  test("stays what it was when the bytes it came from are used for something else", () => {
    const first = bytes();
    decodeMessage(type, first);
    first.fill(0);
    expect(decodeMessage(type, bytes()).queue).toBe("research");
  });

  test("is not taken for what the same bytes say as another type", () => {
    const other = message({ 1: common(one("name", message({ 14: one("odd") }))) });
    const ambiguous = text(1, "r\u0001x");
    expect(decodeMessage(type, ambiguous)).toEqual({ queue: "r\u0001x" });
    expect(decodeMessage(other, ambiguous)).toEqual({ name: { odd: "x" } });
    expect(decodeMessage(type, ambiguous)).toEqual({ queue: "r\u0001x" });
  });

  test("is decoded like anything else, whatever came before", () => {
    const plain = message({ 1: one("queue"), 2: list("owners", owner), 3: map("labels"), 4: one("own") });
    const value = fc.string({ maxLength: 3, unit: "grapheme-ascii" });
    const wire = fc.array(
      fc.oneof(
        value.map((queue) => text(1, queue)),
        value.map((uid) => nested(2, text(4, uid))),
        fc.tuple(value, value).map(([key, label]) => nested(3, text(1, key), text(2, label))),
      ),
    );
    fc.assert(
      fc.property(wire, (parts) => {
        const all = Buffer.concat(parts);
        expect(decodeMessage(type, all)).toEqual(decodeMessage(plain, all));
      }),
      { numRuns: 300 },
    );
  });
});

describe("the slots", () => {
  test("are taken over by what comes later, and hold nothing long", () => {
    const once = new DecodedOnce();
    const count = 40_000;
    const bytesOf = (i: number) => Buffer.from(`value-${i}`);
    for (let i = 0; i < count; i++) once.keep("text", bytesOf(i), 0, bytesOf(i).length, i);
    let found = 0;
    for (let i = 0; i < count; i++) {
      const known = once.find("text", bytesOf(i), 0, bytesOf(i).length);
      if (known === undefined) continue;
      expect(known.value).toBe(i);
      found++;
    }
    expect(found).toBeGreaterThan(5_000);
    expect(found).toBeLessThanOrEqual(2 ** 14);
    const long = Buffer.alloc(257, "x");
    once.keep("text", long, 0, long.length, "long");
    expect(once.find("text", long, 0, long.length)).toBeUndefined();
    expect(once.find("text", long, 0, 256)).toBeUndefined();
  });
});
