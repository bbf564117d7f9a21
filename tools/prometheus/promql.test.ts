import { expect, test } from "vitest";
import { readQuery } from "./promql.ts";

test("a query is read for the metrics and labels that it asks for", () => {
  const query = 'sum by (queue) (rate(a_total{job="x",queue=~".+"}[5m])) / on (queue) group_left (team) b:c > 0';
  expect(readQuery(query)).toEqual({
    selectors: [
      { metric: "a_total", labels: ["job", "queue"] },
      { metric: "b:c", labels: [] },
    ],
    groupings: ["queue", "queue", "team"],
  });
});

test.each(["sum by (queue", 'a{b="', "rate(a_total[$window])", "a b"])("%s is no PromQL", (query) => {
  expect(() => readQuery(query)).toThrow("no PromQL at");
});
