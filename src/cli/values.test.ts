import { expect, test } from "vitest";
import { ApiError, TransportError } from "../controller/kube/api-error.ts";
import { sentenceOf } from "./errors.ts";
import { pair, quantityOf, resourcePair, seconds, wholeNumber } from "./values.ts";

test.each([
  ["90", 90],
  ["90s", 90],
  ["10m", 600],
  ["2h", 7_200],
  ["1d", 86_400],
])("%s is a time", (text, value) => {
  expect(seconds(text)).toBe(value);
});

test.each(["", "0", "-1", "1.5h", "1w", "400d", "h", "1 h"])("%j is no time", (text) => {
  expect(() => seconds(text)).toThrow("is no time");
});

test("whole numbers have bounds", () => {
  const parse = wholeNumber(-5, 10);
  expect(["-5", "0", "10"].map(parse)).toEqual([-5, 0, 10]);
  for (const text of ["-6", "11", "1.5", "", "1e1", "0x1", "9999999999"])
    expect(() => parse(text)).toThrow("from -5 to 10");
});

test("pairs add up, and the last of a name counts", () => {
  expect(pair("a=b=c", pair("x=", { a: "1" }))).toEqual({ a: "b=c", x: "" });
  for (const text of ["a", "=b", ""]) expect(() => pair(text)).toThrow("must be NAME=VALUE");
});

test("amounts of resources are quantities", () => {
  expect(quantityOf("cpu", "500m")).toBe("500m");
  expect(resourcePair("nvidia.com/gpu=1", { cpu: "2" })).toEqual({ cpu: "2", "nvidia.com/gpu": "1" });
  expect(() => quantityOf("memory", "much")).toThrow("no quantity of memory");
  expect(() => resourcePair("nvidia.com/gpu=one")).toThrow("no quantity of nvidia.com/gpu");
});

test.each<[error: unknown, sentence: RegExp]>([
  [new ApiError({ status: 403, reason: "Forbidden", message: "you cannot" }), /^you cannot$/],
  [new ApiError({ status: 401 }), /credentials/],
  [new ApiError({ status: 404, message: "the server could not find the requested resource" }), /install its chart/],
  [new ApiError({ status: 404, message: 'tasks "x" not found' }), /not found/],
  [new ApiError({ status: 502 }), /status 502/],
  [new TransportError("network", "ECONNREFUSED", false, false), /cannot be reached \(ECONNREFUSED\)/],
  [new TransportError("timeout", "no answer in 10 ms", true, false), /does not answer/],
  [new TransportError("credentials", "x", false, false), /yields no credentials/],
  [new TypeError("one\n  at two"), /^one$/],
  ["text", /^text$/],
])("%s is one sentence", (error, sentence) => {
  expect(sentenceOf(error)).toMatch(sentence);
  expect(sentenceOf(error)).not.toContain("\n");
});
