import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";
import type { Launch, RaceRules } from "./messages.ts";

// What a lost race means for who has lost it.

const VERSION = { conflict: "Version", transaction: "Incremental" } as const;
const WHOLE = { conflict: "ResourceFit", transaction: "AllOrNothing" } as const;
const racing = (optimistic?: RaceRules) =>
  ({ scheduler: "Offers", concurrency: "Optimistic", ...(optimistic && { optimistic }) }) as const;

const launch = (change: Partial<Launch> = {}): Launch => ({ task: "t", slice: "s0", count: 1, ...change });

describe("a loser", () => {
  const lose = (made: Bench, queue: string) => {
    const offer = made
      .settle()
      .openOffers()
      .find((open) => open.queue === queue)!;
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
    made.accept(offer, [launch({ task: queue })], { refuseMs: 60_000 });
    expect(made.last("close-offer")).toMatchObject({ key: offer.key, phase: "Refused", reason: "lost-race" });
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    return offer.concurrency;
  };
  /** One framework in two queues, each with a Task of the queue's name. */
  const two = (rules: RaceRules, cpu: number) => {
    const queues = ["qa", "qb"].map((name) => ({ name, weight: 1 }));
    const made = Bench.open().queue("qa").queue("qb").node("n", { cpu: 2 });
    made.framework("f", { ...racing(rules), queues });
    return made.asking("qa", { cpu }, { queue: "qa" });
  };
  const kinds = (made: Bench) =>
    Object.fromEntries(
      made
        .settle()
        .openOffers()
        .map(({ queue, concurrency }) => [queue, concurrency]),
    );

  test.each([VERSION, WHOLE])(
    "of three races in a row gets the next offer for itself ($conflict, $transaction)",
    (rules) => {
      const made = two(rules, 2);
      expect([lose(made, "qa"), lose(made, "qa"), lose(made, "qa")]).toEqual([
        "Optimistic",
        "Optimistic",
        "Optimistic",
      ]);
      expect(kinds(made)).toEqual({ qa: "Exclusive" });
      made.decline(made.openOffers()[0]!, 0);
      expect(kinds(made)).toEqual({ qa: "Optimistic" });
    },
  );

  test("in two queues loses in each by itself: two here and one there are not three in a row", () => {
    const made = two(VERSION, 1).asking("qb", { cpu: 1 }, { queue: "qb" });
    expect([lose(made, "qa"), lose(made, "qa"), lose(made, "qb")]).toEqual(["Optimistic", "Optimistic", "Optimistic"]);
    expect(kinds(made)).toEqual({ qa: "Optimistic", qb: "Optimistic" });
    lose(made, "qa");
    expect(kinds(made)).toEqual({ qa: "Exclusive", qb: "Optimistic" });
  });

  test("has said no to nothing: it stands behind nobody, and is offered the node again at once", () => {
    const made = Bench.open()
      .node("n", { cpu: 2 })
      .framework("f", racing(WHOLE))
      .framework("g", { scheduler: "Offers" });
    made.asking("t", { cpu: 2 });
    for (let i = 0; i < 3; i++) {
      const [offer] = made.settle().openOffers();
      made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
      made.accept(offer!, [launch()], { refuseMs: 60_000 });
      made.apply({ type: "foreign-pod-gone", uid: "p" });
    }
    made.asking("tg", { cpu: 2 }, { of: "g" }).settle();
    expect(made.openOffers()).toHaveLength(1);
    expect(made.openOffers("g")).toHaveLength(0);
    expect(made.broker.frameworkView("ns/f")!.offers).toMatchObject({ refused: 3, accepted: 0, declined: 0 });
  });

  test("wants what it did not get: a node that it lost is none that it left over, however long its answer refuses that", () => {
    const made = Bench.open().node("n", { cpu: 4 }).framework("f", racing(VERSION)).asking("t", { cpu: 1 }).settle();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
    made.accept(made.openOffers()[0]!, [launch()], { refuseMs: 60_000 });
    expect(made.last("close-offer")).toMatchObject({ phase: "Refused", reason: "lost-race" });
    expect(made.settle().openOffers()).toHaveLength(1);
  });

  test("loses nothing in another queue by the offer that it then gets for itself", () => {
    const made = two(VERSION, 2).node("n", { cpu: 3 });
    const taken = { type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 2 } } } as const;
    for (let i = 0; i < 3; i++) {
      const [offer] = made.settle().openOffers();
      made.apply(taken);
      made.accept(offer!, [launch({ task: "qa" })]);
      if (i < 2) made.apply({ type: "foreign-pod-gone", uid: "p" });
    }
    made.asking("qb", { cpu: 1 }, { queue: "qb" });
    expect(kinds(made)).toEqual({ qb: "Optimistic" });
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    expect(kinds(made)).toEqual({ qa: "Exclusive", qb: "Optimistic" });
    made.accept(made.openOffers().find(({ queue }) => queue === "qb")!, [launch({ task: "qb" })]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Accepted" });
  });

  test("is settled by the rules of its framework as they are when it answers", () => {
    const made = Bench.open().node("n", { cpu: 2 }).framework("f", racing(VERSION)).asking("t", { cpu: 1 }).settle();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1 } } });
    made.framework("f", racing());
    made.accept(made.openOffers()[0]!, [launch()]);
    expect(made.last("close-offer")).toMatchObject({ phase: "Accepted", launches: [{ indexes: "0" }] });
  });
});
