import { expect, test } from "vitest";
import { knownSeries, unknownIn } from "./known-metrics.ts";

const known = knownSeries();

test.each([
  { query: 'sum by (queue) (proffer_queue_demand{namespace="n",resource="cpu"})', wrong: [] },
  { query: "rate(proffer_round_duration_seconds_bucket[5m])", wrong: [] },
  { query: "sum by (le) (proffer_round_duration_seconds_bucket)", wrong: [] },
  { query: 'nodejs_heap_space_size_used_bytes{space="old"} + process_resident_memory_bytes', wrong: [] },
  { query: "proffer_queue_wishes", wrong: ["no metric proffer_queue_wishes"] },
  { query: "proffer_round_duration_seconds", wrong: ["no metric proffer_round_duration_seconds"] },
  { query: '{job="proffer"}', wrong: ["no metric (unnamed)"] },
  { query: 'proffer_open_offers{queue="a"}', wrong: ["proffer_open_offers has no label queue"] },
  { query: "sum by (node) (proffer_tasks)", wrong: ["no label node to group by"] },
])("of $query is unknown: $wrong", ({ query, wrong }) => {
  expect(unknownIn(query, known)).toEqual(wrong);
});
