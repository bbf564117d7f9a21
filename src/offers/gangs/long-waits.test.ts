import { describe, expect, test } from "vitest";
import { Bench, START_MS } from "../broker.test-support.ts";
import type { TaskFacts } from "../messages.ts";
import { Busy, HOLD_AFTER_MS, TASK_MS } from "./busy.test-support.ts";

const gang = (minimum: number) => ({ instances: minimum, gang: { minimum } });

describe("what waits for more room than ever comes free at a time", () => {
  test("a large task under DRF starts, though small ones are served again and again", () => {
    const busy = new Busy(2, 4);
    busy.made.asking("t", { cpu: 4 }, { of: "f", createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS);
    expect(busy.placed("t")).toBe(0);
    busy.run(TASK_MS + 1_000);
    expect(busy.placed("t")).toBe(1);
    expect(busy.made.all("delete-pod")).toEqual([]);
  });

  test("a gang of instances larger than what comes free at a time starts", () => {
    const busy = new Busy(4, 4);
    busy.made.asking("t", { cpu: 3 }, { of: "f", ...gang(3), createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS + TASK_MS);
    busy.run(TASK_MS);
    expect(busy.placed("t")).toBe(3);
  });

  test("is offered all of it, where a framework answers", () => {
    const busy = new Busy(4, 4);
    busy.made.framework("o", { scheduler: "Offers" });
    busy.made.asking("t", { cpu: 1 }, { of: "o", ...gang(8), createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS + TASK_MS);
    const [offer] = busy.made.openOffers("o");
    expect(offer?.slices.reduce((sum, { resources }) => sum + resources.cpu!, 0)).toBe(8);
    expect([...busy.made.broker.claims()].filter(({ kind }) => kind === "hold")).toEqual([]);
  });

  test("has held for it no more than it needs, and says what and until when", () => {
    const busy = new Busy(4, 4);
    busy.made.asking("t", { cpu: 1 }, { of: "f", ...gang(8), createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS);
    const sinceMs = busy.made.nowMs;
    let most = 0;
    for (let second = 0; second < 7; second++) {
      busy.run(1_000);
      const holds = [...busy.made.broker.claims()].filter(({ kind }) => kind === "hold");
      most = Math.max(most, holds.length);
      if (second === 3) {
        const clock = (ms: number) => new Date(ms).toISOString().slice(11, 19);
        expect(busy.why("t")).toEqual({
          reason: "gathering",
          message: expect.stringMatching(
            new RegExp(
              `^gang of 8: \\d of 8 fit now; holds room on \\d nodes? since ${clock(sinceMs)}Z, passes on at ${clock(sinceMs + HOLD_AFTER_MS)}Z$`,
            ),
          ),
        });
        expect(busy.made.broker.frameworkView("ns/f")?.why.reason).toBe("gathering");
      }
    }
    expect(most).toBeGreaterThan(2);
    expect(most).toBeLessThanOrEqual(8);
  });

  test("holds nothing past its queue's limit", () => {
    const busy = new Busy(4, 4);
    busy.made.queue("own", { limit: { cpu: 6 } }).framework("g", { queues: [{ name: "own", weight: 1 }] });
    busy.made.asking("first", { cpu: 1 }, { of: "g", instances: 1, createdAtMs: 0 }).settle();
    busy.run(TASK_MS);
    busy.made.asking("t", { cpu: 1 }, { of: "g", ...gang(6), createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS + TASK_MS);
    expect([...busy.made.broker.claims()].filter(({ kind }) => kind === "hold")).toEqual([]);
    busy.made.asking("less", { cpu: 1 }, { of: "g", ...gang(5), priority: 1, createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS + TASK_MS);
    expect(busy.placed("less")).toBe(5);
  });
});

test("nothing is held of what is kept back for another queue's guarantee", () => {
  const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS })
    .queue("gold", { guarantee: { cpu: 8 } })
    .framework("f")
    .node("n", { cpu: 10 });
  const queues = [{ name: "gold", weight: 1 }];
  made.framework("gold", { queues, scheduler: "Offers", maxOutstanding: 1, offerTimeoutMs: 10 * HOLD_AFTER_MS });
  for (const name of ["one", "two"]) made.asking(name, { cpu: 4 }, { of: "gold" }).settle();
  made.asking("t", { cpu: 2 }, gang(3)).settle().wait(HOLD_AFTER_MS);
  expect(made.broker.explainTask("t-uid")?.reason).toBe("gathering");
  // Of 6 that are free 4 are kept back.
  const held = [...made.broker.claims()].filter(({ kind }) => kind === "hold");
  expect(held.map(({ resources }) => resources.cpu)).toEqual([2]);
});

test.each([
  { what: "whole instances", cpu: 1, minimum: 8 },
  { what: "parts of instances", cpu: 3, minimum: 4 },
])("held of what comes free at once is no more than is not kept back for others: $what", ({ cpu, minimum }) => {
  const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS }).framework("f");
  // For what waits in its own queue as much is kept back, and what is held counts against that.
  for (const name of ["gold", "silver"]) {
    made.queue(name, { guarantee: { cpu: 4 } }).framework(name, { queues: [{ name, weight: 1 }] });
  }
  made.queue("default", { reclaim: { minimumRuntimeMs: 100 * HOLD_AFTER_MS } });
  for (const n of [0, 1, 2, 3]) made.node(`n${n}`, { cpu: 4 });
  made.asking("stay", { cpu: 2 }, { instances: 8 }).settle();
  made.asking("g", { cpu }, { of: "gold", ...gang(minimum) }).asking("small", { cpu: 1 }, { of: "gold", instances: 4 });
  made.asking("s", { cpu: 1 }, { of: "silver", instances: 4 }).settle().wait(HOLD_AFTER_MS);
  for (const name of [0, 2, 4, 6]) made.finish(`stay-${name}-0`);
  made.settle();
  expect(made.all("create-pod").filter(({ framework }) => framework === "ns/silver")).toHaveLength(4);
});

describe("the turn", () => {
  test("keeps what is whole, where room for that comes elsewhere than it gathers", () => {
    const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS }).framework("f").framework("o");
    for (const n of [0, 1, 2]) made.node(`n${n}`, { cpu: 4 });
    for (const cpu of [4, 2, 3]) made.asking(`s${cpu}`, { cpu }, { of: "o" }).settle();
    const held = () => {
      const holds = [...made.broker.claims()].filter(({ kind }) => kind === "hold");
      return holds.map(({ node, resources }) => `${node}: ${resources.cpu}`);
    };
    made
      .asking("t", { cpu: 3 }, { ...gang(2) })
      .settle()
      .wait(HOLD_AFTER_MS);
    expect(held()).toEqual(["n1: 2", "n2: 1"]);
    made.finish("s4-0-0");
    made.settle();
    expect(held()).toEqual(["n1: 2", "n0: 3"]);
  });

  test("holds for a gang that is spread no more than one in a domain that is ahead, and it starts spread", () => {
    const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS }).framework("f").framework("o");
    for (const zone of ["x", "y"]) made.node(zone, { cpu: 4 }, { labels: { zone } });
    const constraints = { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Framework" as const }] };
    const on = (zone: string) => ({ of: "o", constraints: { nodeSelector: { zone } } });
    made.asking("one", { cpu: 1 }, { constraints }).settle();
    made.asking("sx", { cpu: 2 }, on("x")).asking("sy", { cpu: 3 }, on("y")).settle();
    made
      .asking("t", { cpu: 1 }, { ...gang(4), constraints })
      .settle()
      .wait(HOLD_AFTER_MS - 1);
    made.nowMs++;
    made.settle();
    expect(made.broker.explainTask("t-uid")?.reason).toBe("gathering");
    made.finish("sx-0-0");
    made.finish("sy-0-0");
    made.settle();
    const at = made.all("create-pod").filter(({ framework }) => framework === "ns/f");
    expect(at.map(({ node }) => node).sort()).toEqual(["x", "x", "x", "y", "y"]);
  });

  test("is lost by a gang that moves to another queue, whose limit holds for it there", () => {
    const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS })
      .queue("q")
      .queue("little", { limit: { cpu: 2 } });
    made.framework("o").node("n", { cpu: 4 });
    const [q, little] = ["q", "little"].map((name) => ({ name, weight: 1 }));
    made.framework("f", { queues: [q!, little!] });
    made.asking("s", { cpu: 4 }, { of: "o" }).settle().asking("other", { cpu: 9 }, { queue: "q" });
    made.asking("t", { cpu: 1 }, gang(4)).settle().wait(HOLD_AFTER_MS);
    made.framework("f", { queues: [little!, q!] }).settle();
    made.finish("s-0-0");
    made.settle();
    expect(made.all("create-pod").filter(({ framework }) => framework === "ns/f")).toEqual([]);
  });

  test.each([
    { name: "a gang larger than the cluster", task: gang(17), cpu: 1 },
    { name: "a gang whose instances fit nowhere", task: gang(2), cpu: 5 },
    { name: "a task that fits nowhere", task: {}, cpu: 5 },
  ])("is never that of $name", ({ task, cpu }) => {
    const busy = new Busy(4, 4);
    busy.made.asking("t", { cpu }, { of: "f", ...task, createdAtMs: 0 }).settle();
    busy.run(3 * HOLD_AFTER_MS);
    expect([...busy.made.broker.claims()].filter(({ kind }) => kind === "hold")).toEqual([]);
    expect(busy.made.broker.clusterView().passedHolds).toBe(0);
  });

  test("passes on after a time that doubles, so that one whose turn is in vain does not keep the others from theirs", () => {
    const busy = new Busy(4, 4);
    // Something that never ends leaves room for one of them only.
    busy.made.asking("forever", { cpu: 2 }, { of: "f", instances: 4, priority: 9, createdAtMs: 0 });
    busy.run(2 * TASK_MS + HOLD_AFTER_MS);
    expect(busy.placed("forever")).toBe(4);
    busy.made.framework("a").framework("b");
    busy.made.asking("vain", { cpu: 3 }, { of: "a", ...gang(4), createdAtMs: 1 });
    busy.made.asking("large", { cpu: 2 }, { of: "b", ...gang(3), createdAtMs: 2 }).settle();
    busy.run(2 * HOLD_AFTER_MS - 1_000);
    expect(busy.why("vain").reason).toBe("gathering");
    const vainTurns = () => ["a", "b"].map((name) => busy.made.broker.frameworkView(`ns/${name}`)!.vainTurns);
    expect(vainTurns()).toEqual([0, 0]);
    expect(busy.placed("large")).toBe(0);
    for (let second = 0; second < 20 && busy.placed("large") === 0; second++) busy.run(1_000);
    expect(busy.placed("large")).toBe(3);
    expect(busy.made.broker.clusterView().passedHolds).toBe(1);
    // Its next turn lasts twice as long.
    busy.run(2 * HOLD_AFTER_MS - 2_000);
    expect(busy.why("vain").reason).toBe("gathering");
    expect(busy.made.broker.clusterView().passedHolds).toBe(1);
    busy.run(3_000);
    expect(busy.made.broker.clusterView().passedHolds).toBe(2);
    expect(vainTurns()).toEqual([2, 0]);
    // Who waits no more has waited in vain no more.
    busy.made.apply({ type: "task-gone", uid: "vain-uid" });
    expect(vainTurns()).toEqual([0, 0]);
  });

  test("is not one's who has more than his share while others are served", () => {
    const busy = new Busy(4, 4);
    busy.made.asking("much", { cpu: 1 }, { of: "f", instances: 12, createdAtMs: 0 });
    busy.run(2 * TASK_MS);
    busy.made.asking("t", { cpu: 4 }, { of: "f", createdAtMs: 1 }).settle();
    busy.run(3 * HOLD_AFTER_MS);
    expect(busy.placed("t")).toBe(0);
    expect([...busy.made.broker.claims()].filter(({ kind }) => kind === "hold")).toEqual([]);
  });

  test("ends with the Task", () => {
    const busy = new Busy(4, 4);
    busy.made.asking("t", { cpu: 1 }, { of: "f", ...gang(8), createdAtMs: busy.made.nowMs }).settle();
    busy.run(HOLD_AFTER_MS + 3_000);
    expect(busy.why("t").reason).toBe("gathering");
    busy.made.apply({ type: "task-gone", uid: "t-uid" });
    busy.made.settle();
    expect([...busy.made.broker.claims()].filter(({ kind }) => kind === "hold")).toEqual([]);
  });
});

describe("of what waits for the same node", () => {
  /** A small pod has a part of the only node. */
  function taken(): Bench {
    const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS }).framework("f").framework("o").node("n", { cpu: 4 });
    return made.asking("s", { cpu: 1 }, { of: "o" }).settle();
  }
  const why = (made: Bench) => ["low", "high"].map((name) => made.broker.explainTask(`${name}-uid`)?.reason);

  test("room is held for what comes first in its framework", () => {
    const made = taken().asking("low", { cpu: 4 }).asking("high", { cpu: 4, pods: 2 }, { priority: 1 });
    expect(why(made.settle().wait(HOLD_AFTER_MS))).toEqual(["no-node", "gathering"]);
  });

  test("none is held past what comes first and has not waited long enough", () => {
    const made = taken()
      .asking("low", { cpu: 4 })
      .settle()
      .wait(HOLD_AFTER_MS - 1);
    made
      .asking("high", { cpu: 4, pods: 2 }, { priority: 1 })
      .settle()
      .wait(HOLD_AFTER_MS - 1);
    expect(why(made)).toEqual(["no-node", "no-node"]);
    expect(why(made.wait(1))).toEqual(["no-node", "gathering"]);
  });
});

test("room that has gathered in vain on one node gathers on another in the next turn", () => {
  const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS }).framework("f").framework("o");
  for (const n of [0, 1]) made.node(`n${n}`, { cpu: 4 }, { labels: { n: `${n}` } });
  for (const n of [0, 1])
    made.asking(`s${n}`, { cpu: n + 1 }, { of: "o", constraints: { nodeSelector: { n: `${n}` } } });
  const held = () => [...made.broker.claims()].filter(({ kind }) => kind === "hold").map(({ node }) => node);
  made.settle().asking("t", { cpu: 4 }).settle().wait(HOLD_AFTER_MS);
  expect(held()).toEqual(["n0"]);
  made.wait(HOLD_AFTER_MS);
  expect(held()).toEqual(["n1"]);
});

describe("a wait that an earlier leader has written down", () => {
  const long = { waitingSinceMs: START_MS - HOLD_AFTER_MS };
  const begun = { succeededIndexes: "", failedIndexes: "", attempts: [{ indexes: "0-1", ended: 1, failed: 0 }] };

  /** A new term, in which four small pods run on the only node, more of them wait, and so does what asks for all of it. */
  function successor(change: Partial<TaskFacts>, sizedLate: boolean): Bench {
    const made = new Bench({ term: "2", holdAfterMs: HOLD_AFTER_MS });
    made.queue("default").framework("small").framework("f").node("n", { cpu: 4 });
    if (sizedLate) made.held.add("size-template");
    made.asking("s", { cpu: 1 }, { of: "small", instances: 20 });
    made.asking(
      "t",
      { cpu: change.gang === undefined ? 4 : 2 },
      { of: "f", createdAtMs: made.nowMs - HOLD_AFTER_MS, ...change },
    );
    for (let index = 0; index < 4; index++) {
      const pod = { taskUid: "s-uid", index, framework: "ns/small", node: "n" };
      made.adopt(`s-${index}-0`, pod);
    }
    made.apply({ type: "opened" });
    for (const [templateKey, requests] of made.requests) made.apply({ type: "template-sized", templateKey, requests });
    return made.settle();
  }
  test("leads to a round at once where it has been long enough", () => {
    const made = new Bench({ term: "2", holdAfterMs: HOLD_AFTER_MS });
    made.queue("default").framework("f").node("n", { cpu: 4 }).asking("s", { cpu: 1 });
    made.asking("t", { cpu: 4 }, { createdAtMs: made.nowMs - HOLD_AFTER_MS, ...long });
    made.adopt("s-0-0", { taskUid: "s-uid" });
    made.apply({ type: "opened" });
    made.settle();
    expect([...made.broker.claims()].filter(({ kind }) => kind === "hold")).toMatchObject([{ resources: { cpu: 3 } }]);
  });

  describe("of a group", () => {
    const began = START_MS - HOLD_AFTER_MS;
    const done = { ...begun, succeededIndexes: "0", attempts: [] };
    /** A group of Tasks that ask for all of the only node, of which a small one has a part. */
    function found(...tasks: Partial<TaskFacts>[]): Bench {
      const made = new Bench({ term: "2", holdAfterMs: HOLD_AFTER_MS });
      made.queue("default").framework("small").framework("f").node("n", { cpu: 4 });
      made.asking("s", { cpu: 1 }, { of: "small" }).adopt("s-0-0", { taskUid: "s-uid", framework: "ns/small" });
      const group = { name: "g", size: 2 };
      for (const [n, change] of tasks.entries()) {
        made.asking(`t${n}`, { cpu: 2 }, { group, createdAtMs: began, ...change });
      }
      made.apply({ type: "opened" });
      return made.settle();
    }
    const holds = (made: Bench) => [...made.broker.claims()].some(({ kind }) => kind === "hold");

    test.each<{ name: string; tasks: Partial<TaskFacts>[]; goesOn: boolean }>([
      { name: "none of which has run, from when all were there", tasks: [{}, {}], goesOn: true },
      { name: "one of which came just now", tasks: [{}, { createdAtMs: START_MS }], goesOn: false },
      {
        name: "that waits to run again",
        tasks: [
          { ...long, recorded: begun },
          { ...long, recorded: begun },
        ],
        goesOn: true,
      },
      {
        name: "one of which waits to run again since just now",
        tasks: [
          { ...long, recorded: begun },
          { waitingSinceMs: START_MS, recorded: begun },
        ],
        goesOn: false,
      },
      {
        name: "one of which has run, it is not known since when the others wait",
        tasks: [{ recorded: begun }, long],
        goesOn: false,
      },
      {
        name: "one of which has ended",
        tasks: [{ recorded: done }, { ...long, instances: 2, recorded: begun }],
        goesOn: true,
      },
    ])("$name", ({ tasks, goesOn }) => {
      const made = found(...tasks);
      expect(holds(made)).toBe(goesOn);
      made.wait(HOLD_AFTER_MS);
      expect(holds(made)).toBe(true);
    });

    test("begins when the last of it is there", () => {
      const made = found({});
      made.asking("t1", { cpu: 2 }, { group: { name: "g", size: 2 }, createdAtMs: began }).settle();
      expect(holds(made)).toBe(false);
      made.wait(HOLD_AFTER_MS);
      expect(holds(made)).toBe(true);
    });
  });

  test.each([
    { name: "of a large task", change: long, holds: true },
    { name: "of a gang that has not run", change: gang(2), holds: true },
    { name: "of a large task, just begun", change: { waitingSinceMs: 1_700_000_000_000 }, holds: false },
    { name: "of a large task, not known", change: {}, holds: false },
    { name: "of a gang that waits to run again", change: { ...gang(2), ...long, recorded: begun }, holds: true },
    { name: "of a gang that waits to run again, not known", change: { ...gang(2), recorded: begun }, holds: false },
  ])("goes on: $name", ({ change, holds }) => {
    for (const sizedLate of [false, true]) {
      const made = successor(change, sizedLate);
      made.finish("s-0-0");
      made.settle();
      expect(made.all("create-pod").map(({ attempt }) => attempt.taskUid)).toEqual(holds ? [] : ["s-uid"]);
    }
  });
});

test("what was held for somebody who may not have more just now is at once for others", () => {
  const made = Bench.open({ holdAfterMs: HOLD_AFTER_MS })
    .framework("small")
    .framework("f", { scheduler: "Offers", maxOutstanding: 2 })
    .framework("g");
  const on = (node: string) => ({ constraints: { nodeSelector: { node } } });
  made
    .node("n", { cpu: 3 }, { labels: { node: "n" } })
    .asking("s", { cpu: 2 }, { of: "small" })
    .settle();
  made.asking("big", { cpu: 2 }, { of: "f" }).settle().wait(HOLD_AFTER_MS);
  made.asking("t", { cpu: 1 }, { of: "g", ...on("n") }).settle();
  expect(made.broker.explainTask("t-uid")?.reason).toBe("no-node");
  made.node("m", { cpu: 1 }).asking("other", { cpu: 1 }, { of: "f" }).settle();
  expect(made.openOffers("f")).toHaveLength(1);
  expect(made.broker.explainTask("t-uid")?.reason).toBe("no-node");
  // Now that is all it may have.
  made.framework("f", { scheduler: "Offers", maxOutstanding: 1 }).settle();
  expect(made.broker.explainTask("t-uid")?.reason).toBe("placed");
});
