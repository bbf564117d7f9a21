import { describe, expect, test } from "vitest";
import { parseOptions } from "./options.ts";
import { parseMetrics, sampleSum, Totals } from "./readings.ts";
import { Screen } from "./screen.ts";

describe("options", () => {
  test("have defaults", () => {
    expect(parseOptions([], {})).toEqual({ keep: false, nodes: 100, seconds: 60, seed: 42 });
  });

  test("are taken from the command line first, then from the environment", () => {
    expect(parseOptions(["--nodes", "20", "--port", "8080"], { TRACE: "/t", KEEP: "1" })).toEqual({
      trace: "/t",
      keep: true,
      nodes: 20,
      seconds: 60,
      seed: 42,
      port: 8080,
    });
    expect(parseOptions(["--trace", "/u"], { TRACE: "/t" }).trace).toBe("/u");
  });

  test.each(["", "0", "false", "no"])('KEEP="%s" keeps nothing', (KEEP) => {
    expect(parseOptions([], { KEEP, TRACE: "" })).toEqual({ keep: false, nodes: 100, seconds: 60, seed: 42 });
  });
});

describe("metrics", () => {
  const metrics = parseMetrics(
    '# HELP a b\na{x="1",y="two \\"words\\""} 3\na{x="2"} 4.5\nplain 7\nhistogram_bucket{le="+Inf"} 2\n\n',
  );

  test("are read with their labels", () => {
    expect(metrics.get("a")![0]).toEqual({ labels: { x: "1", y: 'two "words"' }, value: 3 });
  });

  test("are summed over the labels that are not named", () => {
    expect(sampleSum(metrics, "a")).toBe(7.5);
    expect(sampleSum(metrics, "a", { x: "2" })).toBe(4.5);
    expect(sampleSum(metrics, "plain")).toBe(7);
    expect(sampleSum(metrics, "none")).toBe(0);
  });
});

test("a counter that begins anew goes on where it was", () => {
  const totals = new Totals();
  expect([3, 5, 1, 1, 4].map((value) => totals.add("a", value))).toEqual([3, 5, 6, 6, 9]);
  expect(totals.add("b", 2)).toBe(2);
});

describe("the screen", () => {
  test("draws over what it drew on a terminal, no wider and no higher than that", () => {
    const written: string[] = [];
    const screen = new Screen({ isTTY: true, columns: 6, rows: 3, write: (text) => written.push(text) });
    screen.show(["1:00", "too long", "gone"], "");
    screen.show(["1:01"], "");
    expect(written).toEqual(["\x1b[K1:00\n\x1b[Ktoo l\n\x1b[J", "\x1b[2A\r\x1b[K1:01\n\x1b[J"]);
  });

  test("writes a line now and then elsewhere", () => {
    const written: string[] = [];
    let nowMs = 0;
    const screen = new Screen({ write: (text) => written.push(text) }, () => nowMs);
    for (; nowMs < 12_000; nowMs += 1_000) screen.show([], `at ${nowMs}`);
    expect(written).toEqual(["at 0\n", "at 5000\n", "at 10000\n"]);
  });
});
