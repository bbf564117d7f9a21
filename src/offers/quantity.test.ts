import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatQuantities,
  formatQuantity,
  parseLimits,
  parseQuantities,
  parseQuantity,
  parseRequests,
  type Rounding,
  type Unit,
  unitOf,
} from "./quantity.ts";

describe("reading a quantity", () => {
  test.each<[text: string | number, unit: Unit, down: number, up: number]>([
    ["0", "milli", 0, 0],
    ["500m", "milli", 500, 500],
    ["2", "milli", 2000, 2000],
    [2, "milli", 2000, 2000],
    [0.5, "milli", 500, 500],
    ["+1.5", "milli", 1500, 1500],
    [".5", "milli", 500, 500],
    ["5.", "milli", 5000, 5000],
    ["0.0001", "milli", 0, 1],
    ["500u", "milli", 0, 1],
    ["1n", "milli", 0, 1],
    ["1001u", "milli", 1, 2],
    ["1k", "milli", 1_000_000, 1_000_000],
    ["1.5Gi", "kibi", 1_572_864, 1_572_864],
    ["128Mi", "kibi", 131_072, 131_072],
    ["1Ki", "kibi", 1, 1],
    ["1024", "kibi", 1, 1],
    ["1025", "kibi", 1, 2],
    ["1", "kibi", 0, 1],
    ["1M", "kibi", 976, 977],
    ["1e3", "kibi", 0, 1],
    ["1E3", "count", 1000, 1000],
    ["1E", "kibi", 976_562_500_000_000, 976_562_500_000_000],
    ["9E", "kibi", 8_789_062_500_000_000, 8_789_062_500_000_000],
    ["7Ei", "kibi", 7 * 2 ** 50, 7 * 2 ** 50],
    ["12e-1", "count", 1, 2],
    ["1e-18", "count", 0, 1],
    ["8", "count", 8, 8],
    ["500m", "count", 0, 1],
    ["123456789012345", "count", 123_456_789_012_345, 123_456_789_012_345],
  ])("%s in %s is %d or, rounded up, %d", (text, unit, down, up) => {
    expect(parseQuantity(text, "down", unit)).toBe(down);
    expect(parseQuantity(text, "up", unit)).toBe(up);
  });

  test.each([
    ["nothing", ""],
    ["a lone dot", "."],
    ["a lone suffix", "m"],
    ["a negative amount", "-1"],
    ["negative zero as text", "-0"],
    ["a space", " 1"],
    ["two suffixes", "1mm"],
    ["a suffix of another alphabet", "1К"],
    ["a small e for exa", "1e"],
    ["hexadecimal", "0x10"],
    ["a number that is not one", Number.NaN],
    ["an infinite number", Number.POSITIVE_INFINITY],
    ["a huge number", 1e300],
    ["a negative number", -5],
    ["an exponent beyond 18", "1e19"],
    ["an exponent below -18", "1e-19"],
    ["the exponent bomb 2E6024865272343", "2E6024865272343"],
    ["the exponent bomb 1e4294967297", "1e4294967297"],
    ["the exponent bomb 1e-2147483647", "1e-2147483647"],
    ["33 characters", "1".repeat(33)],
    ["more than a double counts", "9007199254740993"],
    ["an object", {} as never],
    ["null", null as never],
  ])("%s is refused", (_, text) => {
    expect(parseQuantity(text, "up", "count")).toBeUndefined();
    expect(parseQuantity(text, "down", "count")).toBeUndefined();
  });

  test("a megabyte of digits is refused before any arithmetic", () => {
    const digits = "9".repeat(1_000_000);
    const startMs = performance.now();
    for (let i = 0; i < 100; i++) expect(parseQuantity(digits, "up", "milli")).toBeUndefined();
    expect((performance.now() - startMs) / 100).toBeLessThan(1);
  });
});

const unit = fc.constantFrom<Unit>("milli", "kibi", "count");
const digits = (max: number) => fc.integer({ min: 0, max: 10 ** max - 1 }).map(String);
const suffix = fc.constantFrom("", ..."n u m k M G T P E Ki Mi Gi Ti Pi Ei e3 E-3 e+2 e-12".split(" "));
const quantityText = fc
  .tuple(fc.constantFrom("", "+"), digits(9), fc.option(digits(6)), suffix)
  .map(([sign, whole, fraction, end]) => `${sign}${whole}${fraction === null ? "" : `.${fraction}`}${end}`);

describe("laws", () => {
  test("reading agrees with exact fractions", () => {
    fc.assert(
      fc.property(quantityText, unit, (text, u) => {
        const [numerator, denominator] = fractionOf(text, u);
        for (const rounding of ["up", "down"] as Rounding[]) {
          const amount = parseQuantity(text, rounding, u);
          const exact = numerator / denominator + (rounding === "up" && numerator % denominator > 0n ? 1n : 0n);
          expect(amount).toBe(exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : undefined);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("what is written is read back the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), unit, (amount, u) => {
        const text = formatQuantity(amount, u);
        expect(parseQuantity(text, "up", u)).toBe(amount);
        expect(parseQuantity(text, "down", u)).toBe(amount);
      }),
    );
  });

  test("what is written has no fraction and the largest suffix that leaves none", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), unit, (amount, u) => {
        const [, mantissa, end] = /^(\d+)(\D*)$/.exec(formatQuantity(amount, u))!;
        const last = u === "kibi" ? "Ei" : u === "milli" ? "T" : "P";
        expect(end === last || BigInt(mantissa!) % (u === "kibi" ? 1024n : 1000n) !== 0n).toBe(true);
      }),
    );
  });

  test("any text at all is read or refused, never thrown at", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), unit, (text, u) => {
        const amount = parseQuantity(text, "down", u);
        expect(amount === undefined || (Number.isSafeInteger(amount) && amount >= 0)).toBe(true);
      }),
    );
  });
});

describe("maps of quantities", () => {
  test("each resource has its own unit, and zero is left out", () => {
    expect(parseQuantities({ cpu: "1500m", memory: "1Gi", "nvidia.com/gpu": "2", pods: "0" }, "down")).toEqual({
      cpu: 1500,
      memory: 1_048_576,
      "nvidia.com/gpu": 2,
    });
    expect(["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "pods", "a.b/c"].map(unitOf)).toEqual([
      "milli",
      "kibi",
      "kibi",
      "kibi",
      "count",
      "count",
    ]);
  });

  test("capacity that cannot be read is none; a request that cannot be read is more than any node has", () => {
    const entries = { cpu: "many", memory: "1Ki", "a.b/c": null };
    const refused: string[] = [];
    expect(parseQuantities(entries, "down", (resource) => refused.push(resource))).toEqual({ memory: 1 });
    expect(refused).toEqual(["cpu", "a.b/c"]);
    expect(parseRequests(entries)).toEqual({ cpu: 2 ** 50, memory: 1, "a.b/c": 2 ** 50 });
    expect(parseQuantities("cpu=1", "up")).toEqual({});
  });

  test("a limit of zero is a limit; one beyond counting is none", () => {
    expect(parseLimits({ cpu: "0", memory: "1Gi", "a.b/c": "9E" })).toEqual({ cpu: 0, memory: 1_048_576 });
    expect(parseLimits(undefined)).toEqual({});
  });

  test("a resource named __proto__ changes no prototype", () => {
    parseRequests(JSON.parse('{"__proto__": "5", "constructor": "x"}'));
    expect(({} as Record<string, unknown>)["5"]).toBeUndefined();
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  test("they are written in the order of their names", () => {
    expect(formatQuantities({ memory: 1_572_864, cpu: 2500, pods: 110 })).toEqual({
      cpu: "2500m",
      memory: "1536Mi",
      pods: "110",
    });
    expect(Object.keys(formatQuantities({ memory: 1, cpu: 1 }))).toEqual(["cpu", "memory"]);
  });
});

/** An oracle that shares nothing with the implementation but BigInt. */
function fractionOf(text: string, u: Unit): [numerator: bigint, denominator: bigint] {
  const [, whole = "", fraction = "", end = ""] = /^\+?(\d*)\.?(\d*)(.*)$/.exec(text)!;
  let numerator = BigInt(whole + fraction);
  let denominator = 10n ** BigInt(fraction.length);
  const binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].indexOf(end);
  const decimal = /^[eE]([+-]?\d+)$/.exec(end);
  const exponent = decimal ? Number(decimal[1]) : binary < 0 && end !== "" ? "num kMGTPE".indexOf(end) * 3 - 9 : 0;
  if (binary >= 0) numerator *= 1024n ** BigInt(binary + 1);
  else if (exponent >= 0) numerator *= 10n ** BigInt(exponent);
  else denominator *= 10n ** BigInt(-exponent);
  if (u === "milli") numerator *= 1000n;
  if (u === "kibi") denominator *= 1024n;
  return [numerator, denominator];
}
