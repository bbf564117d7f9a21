import { describe, expect, test } from "vitest";
import { both, type Constraints, matchesLabels, type Taint, type Toleration, untoleratedTaint } from "./constraints.ts";

const one = (key: string, operator: string, ...values: string[]) =>
  ({ nodeAffinity: [{ matchExpressions: [{ key, operator, values }] }] }) as Constraints;

describe("labels", () => {
  test.each<{ constraints: Constraints; labels: Record<string, string>; matches: boolean }>([
    { constraints: {}, labels: {}, matches: true },
    { constraints: { nodeSelector: { a: "1" } }, labels: { a: "1", b: "2" }, matches: true },
    { constraints: { nodeSelector: { a: "1", b: "3" } }, labels: { a: "1", b: "2" }, matches: false },
    { constraints: { nodeSelector: { toString: "x" } }, labels: {}, matches: false },
    { constraints: one("a", "In", "1", "2"), labels: { a: "2" }, matches: true },
    { constraints: one("a", "In", "1", "2"), labels: { a: "3" }, matches: false },
    { constraints: one("a", "In", "1"), labels: {}, matches: false },
    { constraints: one("a", "NotIn", "1"), labels: { a: "2" }, matches: true },
    { constraints: one("a", "NotIn", "1"), labels: {}, matches: true },
    { constraints: one("a", "NotIn", "1"), labels: { a: "1" }, matches: false },
    { constraints: one("a", "Exists"), labels: { a: "" }, matches: true },
    { constraints: one("a", "Exists"), labels: {}, matches: false },
    { constraints: one("a", "DoesNotExist"), labels: {}, matches: true },
    { constraints: one("a", "DoesNotExist"), labels: { a: "1" }, matches: false },
    { constraints: one("a", "Gt", "5"), labels: { a: "6" }, matches: true },
    { constraints: one("a", "Gt", "5"), labels: { a: "5" }, matches: false },
    { constraints: one("a", "Gt", "5"), labels: { a: "x" }, matches: false },
    { constraints: one("a", "Gt"), labels: { a: "6" }, matches: false },
    { constraints: one("a", "Lt", "5"), labels: { a: "-6" }, matches: true },
    { constraints: one("a", "Lt", "5"), labels: { a: "10" }, matches: false },
    { constraints: one("a", "Lt", "5"), labels: {}, matches: false },
    { constraints: { nodeAffinity: [] }, labels: {}, matches: true },
    { constraints: { nodeAffinity: [{ matchExpressions: [] }] }, labels: { a: "1" }, matches: false },
    {
      constraints: { nodeAffinity: [...one("a", "Exists").nodeAffinity!, ...one("b", "Exists").nodeAffinity!] },
      labels: { b: "1" },
      matches: true,
    },
  ])("$constraints, $labels: $matches", ({ constraints, labels, matches }) => {
    expect(matchesLabels(constraints, labels)).toBe(matches);
  });
});

describe("taints", () => {
  const taint = (effect: string, value?: string): Taint => ({ key: "k", effect, ...(value && { value }) });

  test.each<{ tolerations: Toleration[]; taints: Taint[]; kept: boolean }>([
    { tolerations: [], taints: [taint("NoSchedule")], kept: true },
    { tolerations: [], taints: [taint("NoExecute")], kept: true },
    { tolerations: [], taints: [taint("PreferNoSchedule")], kept: false },
    { tolerations: [{ key: "k", operator: "Exists" }], taints: [taint("NoSchedule", "v")], kept: false },
    { tolerations: [{ key: "other", operator: "Exists" }], taints: [taint("NoSchedule")], kept: true },
    { tolerations: [{ operator: "Exists" }], taints: [taint("NoSchedule"), taint("NoExecute")], kept: false },
    { tolerations: [{ key: "k", value: "v" }], taints: [taint("NoSchedule", "v")], kept: false },
    { tolerations: [{ key: "k", operator: "Equal", value: "w" }], taints: [taint("NoSchedule", "v")], kept: true },
    { tolerations: [{ key: "k" }], taints: [taint("NoSchedule")], kept: false },
    { tolerations: [{ key: "k", effect: "NoExecute" }], taints: [taint("NoSchedule")], kept: true },
    { tolerations: [{ key: "k", effect: "" }], taints: [taint("NoSchedule")], kept: false },
    { tolerations: [{ key: "", value: "v" }], taints: [taint("NoSchedule", "v")], kept: true },
  ])("$tolerations, $taints: kept away: $kept", ({ tolerations, taints, kept }) => {
    expect(untoleratedTaint(tolerations, taints) !== undefined).toBe(kept);
  });
});

describe("both", () => {
  test.each<{ a: Constraints | undefined; b: Constraints | undefined; both: Constraints }>([
    { a: undefined, b: undefined, both: {} },
    { a: { nodeSelector: { a: "1" } }, b: undefined, both: { nodeSelector: { a: "1" } } },
    { a: undefined, b: { nodeSelector: { a: "1" } }, both: { nodeSelector: { a: "1" } } },
  ])("of $a and $b is $both", ({ a, b, both: expected }) => {
    expect(both(a, b)).toEqual(expected);
  });

  test("holds where each holds", () => {
    const samples: Constraints[] = [
      {},
      { nodeSelector: { a: "1" } },
      { nodeSelector: { a: "2", b: "1" } },
      one("a", "Exists"),
      one("b", "NotIn", "1"),
      { nodeAffinity: [...one("a", "In", "1").nodeAffinity!, ...one("b", "In", "1").nodeAffinity!] },
    ];
    const nodes = ["", "1", "2"].flatMap((a) => ["", "1"].map((b) => ({ ...(a && { a }), ...(b && { b }) })));
    for (const x of samples) {
      for (const y of samples) {
        for (const labels of nodes) {
          expect(matchesLabels(both(x, y), labels)).toBe(matchesLabels(x, labels) && matchesLabels(y, labels));
        }
      }
    }
  });
});
