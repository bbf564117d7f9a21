import { expect, test } from "vitest";
import * as der from "./der.ts";

test.each([
  { name: "a short length is one byte", got: der.octetString(Buffer.alloc(3, 1)), hex: "0403010101" },
  { name: "an integer has no leading zeros", got: der.integer(Buffer.from([0, 0, 5])), hex: "020105" },
  { name: "a high first bit gets a zero before it", got: der.integer(Buffer.from([0x80])), hex: "02020080" },
  { name: "an object identifier", got: der.oid("1.2.840.10045.4.3.2"), hex: "06082a8648ce3d040302" },
  {
    name: "a year before 2050",
    got: der.time(new Date("2026-11-22T04:05:06Z")),
    hex: "170d3236313132323034303530365a",
  },
  {
    name: "a year from 2050 on",
    got: der.time(new Date("2050-01-02T03:04:05Z")),
    hex: "180f32303530303130323033303430355a",
  },
])("$name", ({ got, hex }) => expect(got.toString("hex")).toBe(hex));

test("a long length says how many bytes it takes", () => {
  expect(der.octetString(Buffer.alloc(300)).subarray(0, 4).toString("hex")).toBe("0482012c");
});
