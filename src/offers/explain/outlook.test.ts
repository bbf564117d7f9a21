import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { ChangePart, Outlook } from "../views.ts";

const outlook = ({ broker, nowMs }: Bench, task = "t"): Outlook =>
  broker.outlookOfTask(`${task}-uid`, broker.explainTask(`${task}-uid`)!, nowMs)!;
/** All pods that exist and do not run yet begin to. */
function run(made: Bench): Bench {
  for (const [name, { phase }] of made.pods)
    if (phase === "Pending") made.pod(name, { phase: "Running", started: true });
  return made;
}

describe("when a task may start", () => {
  test("is when what runs has ended as stated: the earliest node counts, and times are absolute", () => {
    const made = Bench.open().framework("f").node("a", { cpu: 4 }).node("b", { cpu: 4 });
    made
      .asking("long", { cpu: 4 }, { durationMs: 60_000 })
      .asking("short", { cpu: 4 }, { durationMs: 20_000 })
      .settle();
    const estimateMs = made.nowMs + 20_000;
    run(made).asking("t", { cpu: 4 }).settle();
    expect(outlook(made).when).toMatchObject({ estimateMs, place: { tasks: 0, instances: 0 } });
    made.wait(15_000);
    expect(outlook(made).when.estimateMs).toBe(estimateMs);
  });

  test("is not known while those in its way state no duration, or have not begun to run", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 4 });
    made.asking("silent", { cpu: 1 }, { instances: 2 }).asking("known", { cpu: 1 }, { durationMs: 1_000 }).settle();
    run(made).asking("starting", { cpu: 1 }, { durationMs: 1_000 }).settle();
    made.asking("t", { cpu: 4 }).settle();
    expect(outlook(made).when.unknown).toBe("3 of the 4 instances in its way state no duration or do not run yet");
  });

  test("is not known any more once those in its way have run longer than they stated", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 2 });
    run(made.asking("late", { cpu: 2 }, { durationMs: 60_000 }).settle());
    made.asking("t", { cpu: 1 }).settle();
    made.wait(59_999);
    expect(outlook(made).when.estimateMs).toBe(made.nowMs + 1);
    made.wait(1);
    expect(outlook(made).when).toMatchObject({
      unknown: "1 of the 1 instances in its way run longer than they stated",
    });
    expect(outlook(made).when.estimateMs).toBeUndefined();
  });

  test("does not hang on what is not in its way", () => {
    const made = Bench.open().queue("q", { limit: { cpu: 2 } });
    made
      .framework("f", { queues: [{ name: "q", weight: 1 }] })
      .framework("other")
      .node("n", { cpu: 9 });
    run(made.asking("silent", { cpu: 5 }, { of: "other" }).asking("r", { cpu: 2 }, { durationMs: 7_000 }).settle());
    made.asking("t", { cpu: 1 }).settle();
    expect(made.broker.explainTask("t-uid")?.reason).toBe("over-limit");
    expect(outlook(made).when.estimateMs).toBe(made.nowMs + 7_000);
    run(made.asking("more", { cpu: 1 }, { createdAtMs: 1 }).settle());
  });

  test("counts those that are not Proffer's, and offers that nobody has answered", () => {
    const made = Bench.open().framework("f").framework("o", { scheduler: "Offers" }).node("n", { cpu: 4 });
    made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 2 } } });
    made.asking("offered", { cpu: 1 }, { of: "o" }).settle().asking("t", { cpu: 4 }).settle();
    expect(outlook(made).when.unknown).toBe(
      "1 pods that are not Proffer's are on its nodes, 1 open offers hold room there",
    );
  });

  test.each<[name: string, make: (made: Bench) => unknown, unknown: RegExp]>([
    [
      "never, on nodes that are too small",
      (made) => made.node("n", { cpu: 1 }),
      /^no node that it may use is large enough/,
    ],
    ["never, without a node", () => {}, /^no node that it may use is large enough/],
  ])("%s", (_, make, unknown) => {
    const made = Bench.open().framework("f");
    make(made);
    made.asking("t", { cpu: 4 }).settle();
    expect(outlook(made).when.unknown).toMatch(unknown);
  });

  test("is not foreseen behind thousands", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 4 });
    run(made.asking("first", { cpu: 4 }, { instances: 3_000, durationMs: 1_000, createdAtMs: 1 }).settle());
    made.asking("t", { cpu: 4 }).settle();
    expect(outlook(made).when.unknown).toBe("more than 2000 instances are served before it");
  });

  test("may be when a node has settled, or a refusal ends", () => {
    const made = Bench.open().framework("f", { scheduler: "Offers" }).node("n", { cpu: 4 });
    made.asking("t", { cpu: 4 }).settle();
    made.decline(made.openOffers()[0]!, 30_000);
    const endMs = made.nowMs + 30_000;
    expect(outlook(made.settle()).when.estimateMs).toBe(endMs);
    const settledAtMs = made.nowMs + 5_000;
    made.node("m", { cpu: 4 }, { closed: "settling", settledAtMs }).settle();
    expect(outlook(made).when.estimateMs).toBe(settledAtMs);
  });

  test("of one at its own parallelism is the first end of its own", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 9 });
    run(made.asking("t", { cpu: 1 }, { instances: 3, parallelism: 2, durationMs: 9_000 }).settle());
    expect(outlook(made)).toMatchObject({
      when: { estimateMs: made.nowMs + 9_000 },
      change: { parts: [{ type: "parallelism", atLeast: 3 }] },
    });
  });

  test("of what starts together is when all of it fits, with what is held for it", () => {
    const made = Bench.open().framework("f").framework("o").node("n", { cpu: 3 }).node("m", { cpu: 3 });
    made
      .asking("short", { cpu: 2 }, { of: "o", durationMs: 320_000 })
      .asking("long", { cpu: 2 }, { of: "o", durationMs: 340_000 });
    const startMs = made.nowMs;
    run(made.settle()).asking("single", { cpu: 1 }, { durationMs: 1_000, instances: 2, createdAtMs: 1 });
    run(made.settle())
      .asking("t", { cpu: 1 }, { instances: 5, gang: { minimum: 5 } })
      .settle();
    expect(outlook(made).when.estimateMs).toBe(startMs + 340_000);
    made.finish("single-0-0");
    made.finish("single-1-0");
    made.wait(300_000);
    expect(made.broker.explainTask("t-uid")?.reason).toBe("gathering");
    expect(outlook(made).when.estimateMs).toBe(startMs + 340_000);
  });

  test("of what starts together and is not foreseen is in any case not long after its turn to have room held", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 4 });
    run(made.asking("silent", { cpu: 1 }).settle());
    made.asking("t", { cpu: 1 }, { instances: 4, gang: { minimum: 4 } }).settle();
    const clock = new Date(made.nowMs + 300_000).toISOString().slice(11, 19);
    expect(outlook(made)).toEqual({
      when: {
        place: expect.anything(),
        unknown: `1 of the 1 instances in its way state no duration or do not run yet; room may be held for it from ${clock}Z on`,
      },
    });
  });

  interface Run {
    readonly cpu: number;
    readonly seconds: number;
  }
  const work = (cpu: number): fc.Arbitrary<Run> =>
    fc.record({ cpu: fc.integer({ min: 1, max: cpu }), seconds: fc.integer({ min: 1, max: 20 }) });

  test("comes true when durations are true: it starts at the estimate, neither before nor after", () => {
    let foreseen = 0;
    let together = 0;
    const world = fc.record({
      nodes: fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 3 }),
      running: fc.array(work(3), { minLength: 1, maxLength: 6 }),
      ahead: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
      cpu: fc.integer({ min: 1, max: 4 }),
      limit: fc.option(fc.integer({ min: 3, max: 9 }), { nil: undefined }),
      gang: fc.option(fc.integer({ min: 2, max: 4 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(world, ({ nodes, running, ahead, cpu, limit, gang }) => {
        const made = Bench.open().queue("default", { limit: limit === undefined ? {} : { cpu: limit } });
        made.framework("f");
        for (const [i, size] of nodes.entries()) made.node(`n${i}`, { cpu: size });
        for (const [i, one] of running.entries()) {
          made.asking(`r${i}`, { cpu: one.cpu }, { durationMs: one.seconds * 1_000 });
        }
        run(made.settle());
        // Only what runs and who waits in the same line is foreseen.
        for (const i of running.keys()) {
          if (made.broker.pendingOf(`r${i}-uid`) > 0) made.apply({ type: "task-gone", uid: `r${i}-uid` });
        }
        // What starts together stands in a line of its own.
        for (const [i, seconds] of gang === undefined ? ahead.entries() : []) {
          made.asking(`a${i}`, { cpu }, { durationMs: seconds * 1_000, createdAtMs: made.nowMs + i });
        }
        const start = gang === undefined ? {} : { instances: gang, gang: { minimum: gang } };
        made.asking("t", { cpu }, { createdAtMs: made.nowMs + 100, ...start });
        run(made.settle());
        if (made.pods.has("t-0-0")) return;
        const { estimateMs } = outlook(made).when;
        expect(live(made, () => made.pods.has("t-0-0"))).toBe(estimateMs);
        if (estimateMs !== undefined) foreseen++;
        if (estimateMs !== undefined && gang !== undefined) together++;
      }),
      { numRuns: 200 },
    );
    expect(foreseen).toBeGreaterThan(30);
    expect(together).toBeGreaterThan(10);
  });

  /** Lets pods run as long as their Tasks state, until something is so: when; undefined for never. */
  function live(made: Bench, until: () => boolean): number | undefined {
    const ends = new Map<string, number>();
    for (;;) {
      for (const [name, { taskUid, phase }] of made.pods) {
        const durationMs = made.durationOf(taskUid);
        if (phase === "Running" && !ends.has(name)) ends.set(name, made.nowMs + durationMs);
      }
      const nextMs = Math.min(...ends.values());
      if (nextMs === Number.POSITIVE_INFINITY) return undefined;
      made.nowMs = nextMs;
      for (const [name, endMs] of ends) {
        if (endMs > nextMs) continue;
        made.pod(name, { phase: "Succeeded" });
        ends.set(name, Number.POSITIVE_INFINITY);
      }
      run(made.settle());
      if (until()) return made.nowMs;
    }
  }
});

describe("where a task stands", () => {
  test("in its own line: behind those of its shape that came first", () => {
    const made = Bench.open().framework("f");
    made
      .asking("a", { cpu: 4 }, { instances: 3, createdAtMs: 1 })
      .asking("t", { cpu: 4 })
      .asking("b", { cpu: 4 }, { createdAtMs: made.nowMs + 1 });
    made.asking("else", { cpu: 5 }, { createdAtMs: 1 }).settle();
    expect(outlook(made).when.place).toMatchObject({ tasks: 1, instances: 3 });
    expect(outlook(made, "a").when.place).toMatchObject({ tasks: 0, instances: 0 });
  });

  test("in the tree: who has nobody before it at any level, and nobody else, is served next", () => {
    const order = fc.constantFrom("DominantShare", "Fair", "Capacity", "Priority", "Fifo");
    const queue = fc.record({ parent: fc.nat(3), weight: fc.integer({ min: 1, max: 3 }), order });
    const framework = fc.record({
      queue: fc.nat(3),
      held: fc.array(fc.constantFrom({ cpu: 1 }, { cpu: 1, memory: 3 }, { cpu: 2, memory: 1 }), { maxLength: 3 }),
      weight: fc.integer({ min: 1, max: 3 }),
      priority: fc.nat(2),
      ageMs: fc.nat(3),
    });
    const world = fc.record({
      queues: fc.array(queue, { minLength: 4, maxLength: 4 }),
      frameworks: fc.array(framework, { minLength: 2, maxLength: 6 }),
    });
    fc.assert(
      fc.property(world, ({ queues, frameworks }) => {
        const made = Bench.open();
        // A parent comes before its children: the first of them stand at the root.
        for (const [i, { parent, weight, order }] of queues.entries()) {
          made.queue(`q${i}`, parent < i ? { parent: `q${parent}`, weight, order } : { weight, order });
        }
        made.node("held", { cpu: 40, memory: 60 }, { labels: { for: "held" } });
        const waiting = new Set<string>();
        for (const [i, { queue, held, weight }] of frameworks.entries()) {
          made.framework(`f${i}`, { queues: [{ name: `q${queue}`, weight }] });
          for (const [j, requests] of held.entries()) made.asking(`h${i}-${j}`, requests, { of: `f${i}` });
        }
        made.settle();
        for (const [i, { priority, ageMs }] of frameworks.entries()) {
          const constraints = { nodeSelector: { for: "one" } };
          const change = { priority, createdAtMs: made.nowMs - ageMs, constraints };
          made.asking(`t${i}`, { cpu: 1 }, { of: `f${i}`, ...change });
          waiting.add(`t${i}`);
        }
        made.settle();
        for (let n = 0; waiting.size > 0; n++) {
          made.node(`one-${n}`, { cpu: 1, memory: 1 }, { labels: { for: "one" } });
          const next = [...waiting].filter((task) =>
            outlook(made, task).when.place!.levels.every(({ before }) => before === 0),
          );
          const sofar = made.all("create-pod").length;
          made.settle();
          const served = made
            .all("create-pod")
            .slice(sofar)
            .map(({ attempt }) => attempt.taskUid.replace("-uid", ""));
          expect(next).toEqual(served);
          waiting.delete(served[0]!);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("nowhere, while it may not start", () => {
    const made = Bench.open().framework("f").task("t", { instances: 2, parallelism: 1 }).node("n", { cpu: 1 }).settle();
    expect(outlook(made).when.place).toBeUndefined();
  });
});

describe("what must change", () => {
  const parts = (made: Bench): readonly ChangePart[] | undefined => outlook(made).change?.parts;

  test.each<[name: string, make: (made: Bench) => unknown, parts: readonly ChangePart[] | undefined]>([
    [
      "the node that lacks the smallest part of what is asked for",
      (made) => made.node("far", { cpu: 1 }).node("near", { cpu: 3, memory: 1 }),
      [{ type: "node", node: "near", more: { cpu: 1 }, orLess: true }],
    ],
    [
      "a node that lacks two things needs both",
      (made) => made.node("n", { cpu: 3, memory: 0 }).asking("t", { cpu: 4, memory: 2 }),
      [{ type: "node", node: "n", more: { cpu: 1, memory: 2 }, orLess: false }],
    ],
    [
      "a cordoned node with room, rather than more room",
      (made) => made.node("near", { cpu: 3 }).node("shut", { cpu: 9 }, { closed: "cordoned" }),
      [{ type: "uncordon", node: "shut" }],
    ],
    [
      "more room, rather than two changes at once",
      (made) => made.node("near", { cpu: 1 }).node("shut", { cpu: 3 }, { closed: "cordoned" }),
      [{ type: "node", node: "near", more: { cpu: 3 }, orLess: true }],
    ],
    [
      "a toleration, where nothing else is in the way",
      (made) => made.node("n", { cpu: 9 }, { taints: [{ key: "gpu", effect: "NoSchedule" }] }),
      [{ type: "tolerate", node: "n", taint: "gpu" }],
    ],
    [
      "what no node has is named",
      (made) => made.node("n", { cpu: 9 }).asking("t", { cpu: 1, "example.com/fpga": 2 }),
      [{ type: "node", node: "n", more: { "example.com/fpga": 2 }, orLess: false }],
    ],
    ["nothing that could be named", (made) => made.node("n", { cpu: 9 }, { ready: false }), undefined],
    [
      "room and the limit, both",
      (made) => made.queue("default", { limit: { cpu: 2 } }).node("n", { cpu: 3 }),
      [
        { type: "node", node: "n", more: { cpu: 1 }, orLess: true },
        { type: "limit", queue: "default", more: { cpu: 2 } },
      ],
    ],
    [
      "an over-full node is one again that is not",
      (made) => {
        made.node("n", { cpu: 5, memory: 1 });
        made.apply({ type: "foreign-pod-observed", pod: { uid: "p", node: "n", requests: { cpu: 1, memory: 3 } } });
      },
      [{ type: "node", node: "n", more: { memory: 2 }, orLess: false }],
    ],
  ])("%s", (_, make, expected) => {
    const made = Bench.open().framework("f");
    make(made);
    if (made.broker.taskView("t-uid") === undefined) made.asking("t", { cpu: 4 });
    expect(parts(made.settle())).toEqual(expected);
  });

  test("an answer, while offers are open; then the refusal taken back", () => {
    const made = Bench.open()
      .framework("f", { scheduler: "Offers" })
      .node("n", { cpu: 4 })
      .asking("t", { cpu: 4 })
      .settle();
    const [offer] = made.openOffers();
    expect(parts(made)).toEqual([{ type: "answer", offer: offer!.key, untilMs: offer!.expiresAtMs }]);
    made.decline(offer!, 30_000);
    expect(parts(made.settle())).toEqual([{ type: "revive", untilMs: made.nowMs + 30_000 }]);
  });

  test("an answer to the offer that shows it the room already", () => {
    const change = { scheduler: "Offers", concurrency: "Optimistic", maxOutstanding: 9 } as const;
    const made = Bench.open()
      .framework("f", change)
      .node("n", { cpu: 3 })
      .asking("t", { cpu: 2 }, { instances: 2 })
      .settle();
    expect(parts(made)).toMatchObject([{ type: "answer", offer: made.openOffers()[0]!.key }]);
  });

  test("is told for the first in line, and says so", () => {
    const made = Bench.open().framework("f").node("n", { cpu: 1 }).asking("first", { cpu: 4 }, { createdAtMs: 1 });
    made.asking("t", { cpu: 4 }).settle();
    expect(outlook(made).change?.text).toBe(
      "for the first of its line: 0.003 cpu more on node n, or so much less asked for",
    );
  });
});
