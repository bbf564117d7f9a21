import { describe, expect, test } from "vitest";
import { Bench, podFacts } from "./broker.test-support.ts";
import type { Launch, OfferFacts, RaceRules } from "./messages.ts";
import { parseIndexes } from "./structures/indexes.ts";

// A new leader settles what an earlier one may or may not have begun. Versions of nodes do not outlive a term.

const slice = (name: string, node: string) => ({
  name,
  node,
  nodeUid: `${node}-uid`,
  resources: { cpu: 3, pods: 3 },
  labels: {},
});
const launches: readonly Launch[] = [
  { task: "t", slice: "s0", count: 2 },
  { task: "t", slice: "s1", count: 2 },
];

/** A term that finds an answer to an old offer, and pods of its first launch. */
function found(
  rules: RaceRules,
  pods: number,
  change: Partial<OfferFacts> = {},
  first: (made: Bench) => void = () => {},
): Bench {
  const made = new Bench({ term: "t2" });
  made.queue("default").node("n", { cpu: 3 }).node("m", { cpu: 3 });
  made.framework("f", { scheduler: "Offers", concurrency: "Optimistic", optimistic: rules });
  first(made);
  made.task("t", { instances: 40 });
  for (let index = 0; index < pods; index++) {
    made.apply({ type: "pod-observed", pod: podFacts({ index, offer: "old.0" }) });
  }
  const offer: OfferFacts = {
    key: "ns/f-t1-0",
    uid: "old",
    framework: "ns/f",
    queue: "default",
    term: "t1",
    concurrency: "Optimistic",
    phase: "Open",
    slices: [slice("s0", "n"), slice("s1", "m")],
    answer: { by: "user-f", decision: "Accept", launches, refuseMs: 0 },
    ...change,
  };
  made.apply({ type: "offer-observed", offer });
  made.apply({ type: "opened" });
  return made;
}

const full = (node: string) => (made: Bench) => {
  made.apply({ type: "foreign-pod-observed", pod: { uid: node, node, requests: { cpu: 2 } } });
};

function end(made: Bench) {
  const { phase, launches: outcomes } = made.last("close-offer")!;
  return { phase, indexes: outcomes.map(({ indexes }) => indexes), reasons: outcomes.map((o) => o.refused?.reason) };
}

const lost = "lost-race" as const;

describe("an optimistic accept that a new leader finds", () => {
  type Row = readonly [
    conflict: RaceRules["conflict"],
    transaction: RaceRules["transaction"],
    found: string,
    phase: string,
    indexes: readonly string[],
    reasons: readonly (string | undefined)[],
  ];
  const all = ["0-1", "2-3"];
  const most = ["0-1", "2"];
  const none = ["", ""];
  const rows: readonly Row[] = [
    // Nothing was begun: a race now, by the rules.
    ["ResourceFit", "Incremental", "nothing begun", "Accepted", all, [undefined, undefined]],
    ["ResourceFit", "AllOrNothing", "nothing begun", "Accepted", all, [undefined, undefined]],
    ["ResourceFit", "Incremental", "nothing begun, m full", "Accepted", most, [undefined, lost]],
    ["ResourceFit", "AllOrNothing", "nothing begun, m full", "Refused", none, [lost, lost]],
    // Nobody knows whether the nodes are what they were.
    ["Version", "Incremental", "nothing begun", "Refused", none, [lost, lost]],
    ["Version", "AllOrNothing", "nothing begun", "Refused", none, [lost, lost]],
    // The race for the first slice was won, and that is carried out; the second is raced for now.
    ["ResourceFit", "Incremental", "one pod", "Accepted", all, [undefined, undefined]],
    ["Version", "Incremental", "one pod", "Accepted", ["0-1", ""], [undefined, lost]],
    // The whole was won: what of it still fits is carried out.
    ["ResourceFit", "AllOrNothing", "one pod", "Accepted", all, [undefined, undefined]],
    ["Version", "AllOrNothing", "one pod", "Accepted", all, [undefined, undefined]],
    ["Version", "AllOrNothing", "one pod, m full", "Accepted", most, [undefined, lost]],
  ];

  test.each(rows)("under %s, %s, with %s: %s", (conflict, transaction, what, phase, indexes, reasons) => {
    const pods = what.startsWith("one pod") ? 1 : 0;
    const made = found({ conflict, transaction }, pods, {}, what.endsWith("m full") ? full("m") : undefined);
    expect(end(made)).toEqual({ phase, indexes, reasons });
    const started = indexes.flatMap((range) => [...parseIndexes(range, 40)]);
    expect(made.claims("task")).toHaveLength(started.length);
    expect(made.broker.clusterView().lostRaces).toBe(reasons.filter((reason) => reason === lost).length);
  });

  test("is told that the leader cannot know", () => {
    const made = found({ conflict: "Version", transaction: "Incremental" }, 0);
    expect(made.last("close-offer")!.launches[0]!.refused!.message).toBe(
      "a new leader cannot tell whether others have claims on node n since it was offered; it has free now: cpu 3m, pods 110",
    );
  });

  test("had won already where its offer was exclusive: what fits is carried out", () => {
    const made = found(
      { conflict: "Version", transaction: "AllOrNothing" },
      0,
      { concurrency: "Exclusive" },
      full("m"),
    );
    expect(end(made)).toEqual({ phase: "Accepted", indexes: ["0-1", "2"], reasons: [undefined, lost] });
    expect(made.broker.clusterView().lostRaces).toBe(0);
  });
});
