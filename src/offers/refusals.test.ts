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

  /** As many frameworks, each of which declines the same node for as long as told, in this order. */
  function all(seconds: readonly number[], cpu = 9): Bench {
    const made = Bench.open().node("n", { cpu });
    for (const [i, s] of seconds.entries()) {
      made
        .framework(`f${i}`, { scheduler: "Offers" })
        .asking(`t${i}`, { cpu: 9 }, { of: `f${i}` })
        .settle();
      made.decline(made.openOffers(`f${i}`)[0]!, s * 1_000);
      made.settle();
    }
    return made;
  }
  /** Who is offered something when, once nobody keeps what is offered: seconds and framework. */
  function comesBack(made: Bench, seconds: number): string[] {
    const back: string[] = [];
    for (let s = 0; s <= seconds; s++) {
      for (let offer = [...made.settle().offers.values()][0]; offer; offer = [...made.settle().offers.values()][0]) {
        back.push(`${s} ${offer.framework}`);
        made.decline(offer, 1_000_000);
      }
      made.wait(1_000);
    }
    return back;
  }

  test("of each framework ends at its own time, whoever else refuses the same node", () => {
    expect(comesBack(all([5, 3, 9, 3, 7]), 10)).toEqual(["3 ns/f1", "3 ns/f3", "5 ns/f0", "7 ns/f4", "9 ns/f2"]);
  });

  test("of one framework is broken without the others': they find it where it was", () => {
    const made = all([5, 3, 9]);
    made.framework("f1", { scheduler: "Offers", revive: 1 });
    expect(comesBack(made, 10)).toEqual(["0 ns/f1", "5 ns/f0", "9 ns/f2"]);
    const last = all([5, 3, 9]);
    last.framework("f2", { scheduler: "Offers", revive: 1 });
    expect(comesBack(last, 10)).toEqual(["0 ns/f2", "3 ns/f1", "5 ns/f0"]);
  });

  test("is held against the room that there was when it was refused, each its own", () => {
    const made = Bench.open().node("n", { cpu: 8 });
    const foreign = (cpu: number) => {
      made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu } } });
      made.settle();
    };
    const declineAll = () => {
      for (let offer = [...made.offers.values()][0]; offer !== undefined; offer = [...made.offers.values()][0]) {
        made.decline(offer, 600_000);
        made.settle();
      }
    };
    const who = () => [...new Set([...made.offers.values()].map(({ framework }) => framework))];
    for (const [i, used] of [6, 4].entries()) {
      foreign(used);
      made.framework(`f${i}`, { scheduler: "Offers" }).asking(`t${i}`, { cpu: 2 }, { of: `f${i}`, instances: 9 });
      made.settle();
      if (i === 1) declineAll();
    }
    // Both have refused a node with 4 free now.
    foreign(5);
    expect(who()).toEqual([]);
    made.framework("f0", { scheduler: "Offers", revive: 1 }).settle();
    // One of them has refused it with 3 free, too: 4 are one instance more to it, and nothing new to the other.
    declineAll();
    foreign(4);
    expect(who()).toEqual(["ns/f0"]);
    declineAll();
    foreign(2);
    expect(who().length).toBeGreaterThan(0);
  });

  test("stands while the node is over-full, and on nothing that its framework asks for", () => {
    const made = declined();
    made.apply({ type: "foreign-pod-observed", pod: { uid: "q", node: "n", requests: { cpu: 9, memory: 20 } } });
    made.apply({ type: "foreign-pod-gone", uid: "p" });
    expect(offered(made)).toBe(false);
    made.apply({ type: "foreign-pod-observed", pod: { uid: "q", node: "n", requests: { cpu: 8 } } });
    expect(offered(made)).toBe(false);
  });

  test("is what was said last of a node: two offers there, two words", () => {
    for (const [first, second] of [
      [60_000, 5_000],
      [5_000, 60_000],
    ] as const) {
      const made = Bench.open().node("n", { cpu: 4 }).framework("f", { scheduler: "Offers" });
      made.asking("a", { cpu: 2 }).settle();
      made.asking("b", { cpu: 2 }).settle();
      const [one, two] = made.openOffers();
      made.held.add("close-offer");
      made.decline(one!, first);
      made.decline(two!, second);
      made.held.clear();
      for (const { key } of [one!, two!]) made.apply({ type: "offer-closed", key });
      for (const { key } of [one!, two!]) made.offers.delete(key);
      made.wait(second - 1);
      expect(made.openOffers()).toEqual([]);
      expect(made.wait(1).openOffers()).toHaveLength(1);
    }
  });

  test("by an accept that uses all of it up is none", () => {
    const made = Bench.open().node("n", { cpu: 2 }).framework("f", { scheduler: "Offers" });
    made.asking("t", { cpu: 2 }, { instances: 2 }).settle();
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 1 }], { refuseMs: 600_000 });
    made.finish("t-0-0");
    expect(offered(made)).toBe(true);
  });

  test("that a framework leaves behind holds nobody up when it is gone", () => {
    const made = all([100, 200]);
    made.apply({ type: "framework-gone", key: "ns/f0" });
    made.apply({ type: "task-gone", uid: "t0-uid" });
    expect(comesBack(made, 201)).toEqual(["200 ns/f1"]);
  });
});
