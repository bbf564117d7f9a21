import fc from "fast-check";
import { expect, test } from "vitest";
import { type Head, headBefore } from "./heads.ts";

const head = fc.record({
  priority: fc.nat(1),
  createdAtMs: fc.nat(1),
  key: fc.constantFrom("ns/a", "ns/b"),
  uid: fc.constantFrom("u", "v"),
});

test("the more important task comes first, then the older one, then by name, and none last", () => {
  const rank = ({ priority, createdAtMs, key, uid }: Head) => `${9 - priority} ${createdAtMs} ${key} ${uid}`;
  fc.assert(
    fc.property(head, head, (a, b) => {
      expect(headBefore(a, b)).toBe(rank(a) < rank(b));
      expect([headBefore(a, undefined), headBefore(undefined, a)]).toEqual([true, false]);
    }),
  );
  expect(headBefore(undefined, undefined)).toBe(false);
});
