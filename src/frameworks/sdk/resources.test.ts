import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parsePodTemplate } from "../../api/pod-template.ts";
import { minus, needOf, podNeed, supplyOf, thousandths, timesFitting } from "./resources.ts";

describe("a quantity in thousandths", () => {
  test.each([
    ["1", 1000],
    [2, 2000],
    ["500m", 500],
    ["1.1", 1100],
    ["0.1", 100],
    [".5", 500],
    ["1e3", 1_000_000],
    ["1.5E-1", 150],
    ["1Ki", 1_024_000],
    ["1.5Gi", 1_610_612_736_000],
    ["3M", 3_000_000_000],
    ["-2", -2000],
  ])("%s is %d", (quantity, expected) => {
    expect(thousandths(quantity, "up")).toBe(expected);
    expect(thousandths(quantity, "down")).toBe(expected);
  });

  test.each([
    ["1u", 1, 0],
    ["1500u", 2, 1],
    ["999999999n", 1000, 999],
    ["-1500u", -1, -2],
  ])("%s is rounded up to %d, down to %d", (quantity, up, down) => {
    expect(thousandths(quantity, "up")).toBe(up);
    expect(thousandths(quantity, "down")).toBe(down);
  });

  test.each(["", "m", "1x", "1 ", "NaN", "1e", "1e99", "2E6024865272343", "1e-19", "constructor", "1".repeat(33)])(
    "%s is none",
    (text) => {
      expect(() => thousandths(text, "up")).toThrow(RangeError);
    },
  );
});

const amount = fc.integer({ min: 0, max: 1_000_000 }).map((milli) => `${milli}m`);
const quantities = fc.dictionary(fc.constantFrom("cpu", "memory", "gpu"), amount);

test("what fits n times leaves no resource below zero, and n + 1 times would", () => {
  fc.assert(
    fc.property(quantities, quantities, (wants, has) => {
      const [need, supply] = [needOf(wants), supplyOf(has)];
      const times = timesFitting(need, supply);
      if (times === Number.POSITIVE_INFINITY) {
        expect([...need.values()].every((value) => value === 0)).toBe(true);
        return;
      }
      expect(Math.min(0, ...minus(supply, need, times).values())).toBe(0);
      expect(Math.min(...minus(supply, need, times + 1).values())).toBeLessThan(0);
    }),
  );
});

describe("a pod needs", () => {
  const container = (name: string, cpu: string, fields: object = {}) => ({
    name,
    image: "a",
    resources: { requests: { cpu } },
    ...fields,
  });
  const sidecar = { restartPolicy: "Always" };
  test.each([
    { name: "what its containers need together", containers: ["1", "2"], init: [], cpu: 3000 },
    { name: "what its largest init container needs", containers: ["1"], init: [container("i", "5")], cpu: 5000 },
    {
      name: "what its sidecars need beside its containers",
      containers: ["2"],
      init: [container("s", "1", sidecar), container("i", "500m")],
      cpu: 3000,
    },
    {
      name: "what an init container needs beside the sidecars before it, but not those after",
      containers: ["1"],
      init: [container("s", "1", sidecar), container("i", "4"), container("t", "1", sidecar)],
      cpu: 5000,
    },
  ])("$name", ({ containers, init, cpu }) => {
    const spec = { containers: containers.map((each, index) => container(`c${index}`, each)), initContainers: init };
    const parsed = parsePodTemplate({ spec });
    expect(parsed.ok && podNeed(parsed.template)).toEqual(
      new Map([
        ["cpu", cpu],
        ["pods", 1000],
      ]),
    );
  });

  test("its limits where it states no requests", () => {
    const resources = { limits: { "nvidia.com/gpu": 2, cpu: "1" }, requests: { cpu: "250m" } };
    const parsed = parsePodTemplate({ spec: { containers: [{ name: "a", image: "b", resources }] } });
    expect(parsed.ok && podNeed(parsed.template)).toEqual(
      new Map([
        ["nvidia.com/gpu", 2000],
        ["cpu", 250],
        ["pods", 1000],
      ]),
    );
  });
});
