import { describe, expect, test } from "vitest";
import { Bench } from "./broker.test-support.ts";

/** One node of 10, of which `f` declined everything for a minute. */
function declined(change: Parameters<Bench["framework"]>[1] = {}, used = 8): Bench {
  const made = Bench.open().node("n", { cpu: 10, memory: 10 });
  made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: used } } });
  made
    .framework("f", { scheduler: "Offers", ...change })
    .asking("t", { cpu: 2 }, { instances: 9 })
    .settle();
  made.decline(made.openOffers()[0]!, 60_000);
  return made.settle();
}

const offered = (made: Bench) => made.settle().openOffers().length > 0;

describe("a filter", () => {
  test("keeps the node from its framework, and from nobody else", () => {
    const made = declined();
    expect(offered(made)).toBe(false);
    made.framework("g", { scheduler: "Offers" }).asking("u", { cpu: 2 }, { of: "g" }).settle();
    expect(made.openOffers("g")).toHaveLength(1);
  });

  test("ends at its time, to the millisecond", () => {
    const made = declined();
    made.wait(59_999);
    expect(made.openOffers()).toEqual([]);
    made.wait(1);
    expect(made.openOffers()).toHaveLength(1);
  });

  test.each([
    { name: "one more instance fits: broken", frees: 6, broken: true },
    { name: "a little more, but no instance: stands", frees: 7, broken: false },
  ])("what was refused is the whole node: $name", ({ frees, broken }) => {
    const made = declined();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: frees } } });
    expect(offered(made)).toBe(broken);
  });

  test("less room and then as much again is nothing new", () => {
    const made = declined();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "q", node: "n", requests: { cpu: 1 } } });
    made.settle().apply({ type: "foreign-pod-gone", uid: "q" });
    expect(offered(made)).toBe(false);
  });

  test.each([
    { name: "revive", act: (made: Bench) => made.framework("f", { scheduler: "Offers", revive: 1 }) },
    {
      name: "no longer suppressed",
      act: (made: Bench) =>
        made.framework("f", { scheduler: "Offers", suppressed: true }).framework("f", { scheduler: "Offers" }),
    },
    {
      name: "the node has other labels",
      act: (made: Bench) => made.node("n", { cpu: 10 }, { labels: { disk: "ssd" } }),
    },
    { name: "the node is another machine", act: (made: Bench) => made.node("n", { cpu: 10 }, { uid: "new" }) },
    {
      name: "the node was gone",
      act: (made: Bench) => {
        made.apply({ type: "node-gone", name: "n" });
        made.node("n", { cpu: 10 });
      },
    },
  ])("$name: broken", ({ act }) => {
    const made = declined();
    act(made);
    expect(offered(made)).toBe(true);
  });

  test("that is broken leaves no timer behind", () => {
    const made = declined();
    // Past the time that the offer had.
    made.wait(40_000);
    expect(made.broker.nextTickMs(made.nowMs)).toBe(made.nowMs + 20_000);
    made.framework("f", { scheduler: "Offers", suppressed: true, revive: 1 }).settle();
    expect(made.broker.nextTickMs(made.nowMs)).toBe(Number.POSITIVE_INFINITY);
  });

  test("that is set again later ends later", () => {
    const made = declined();
    made.wait(50_000);
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    made.settle();
    made.decline(made.openOffers()[0]!, 60_000);
    made.wait(59_999);
    expect(made.openOffers()).toEqual([]);
    made.wait(1);
    expect(made.openOffers()).toHaveLength(1);
  });

  test("a decline for no time refuses nothing", () => {
    const made = Bench.open().node("n", { cpu: 4 }).framework("f", { scheduler: "Offers" }).task("t").settle();
    made.decline(made.openOffers()[0]!, 0);
    expect(offered(made)).toBe(true);
  });

  test("what an accept leaves of a slice is filtered by its own word, what it uses up is not", () => {
    const made = Bench.open().node("a", { cpu: 4 }).node("b", { cpu: 4 }).framework("f", { scheduler: "Offers" });
    made.asking("t", { cpu: 2 }, { instances: 4 }).settle();
    const [offer] = made.openOffers();
    made.accept(
      offer!,
      [
        { task: "t", slice: "s0", count: 2 },
        { task: "t", slice: "s1", count: 1 },
      ],
      { refuseMs: 9_000 },
    );
    expect(offered(made)).toBe(false);
    made.finish("t-0-0");
    expect(
      made
        .settle()
        .openOffers()[0]!
        .slices.map(({ node }) => node),
    ).toEqual(["a"]);
  });
});
