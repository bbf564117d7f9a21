import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { minus, timesFitting } from "../sdk/resources.ts";
import { decide, type Offered, type Wanted } from "./decide.ts";

const amounts = (cpu: number, memory = cpu) =>
  new Map([
    ["cpu", cpu],
    ["memory", memory],
  ]);
const offer = (
  name: string,
  ...slices: [cpu: number, memory?: number, labels?: Record<string, string>][]
): Offered => ({
  name,
  slices: slices.map(([cpu, memory, labels], index) => ({
    name: `s${index}`,
    free: amounts(cpu, memory),
    labels: labels ?? {},
  })),
});
const wanted = (task: string, count: number, cpu: number, fields: Partial<Wanted> = {}): Wanted => ({
  task,
  count,
  need: amounts(cpu),
  priority: 0,
  nodeSelector: {},
  ...fields,
});

describe("answers to offers", () => {
  test.each<{ name: string; offers: Offered[]; tasks: Wanted[]; launches: Record<string, [string, string, number][]> }>(
    [
      {
        name: "an offer of enough is accepted for what waits, and no more",
        offers: [offer("a", [10])],
        tasks: [wanted("t", 3, 2)],
        launches: { a: [["t", "s0", 3]] },
      },
      {
        name: "an offer of less is accepted for what fits",
        offers: [offer("a", [5])],
        tasks: [wanted("t", 3, 2)],
        launches: { a: [["t", "s0", 2]] },
      },
      {
        name: "what is too small is declined",
        offers: [offer("a", [1])],
        tasks: [wanted("t", 3, 2)],
        launches: { a: [] },
      },
      { name: "with nothing to run, all is declined", offers: [offer("a", [9])], tasks: [], launches: { a: [] } },
      {
        name: "the tightest slice is filled first",
        offers: [offer("a", [10], [4], [7])],
        tasks: [wanted("t", 2, 2)],
        launches: { a: [["t", "s1", 2]] },
      },
      {
        name: "what does not fit there goes on to the next",
        offers: [offer("a", [10], [3])],
        tasks: [wanted("t", 3, 2)],
        launches: {
          a: [
            ["t", "s1", 1],
            ["t", "s0", 2],
          ],
        },
      },
      {
        name: "one decision for all offers: nothing is launched twice",
        offers: [offer("a", [4]), offer("b", [4])],
        tasks: [wanted("t", 2, 2)],
        launches: { a: [["t", "s0", 2]], b: [] },
      },
      {
        name: "large tasks go first, or they would never fit",
        offers: [offer("a", [5])],
        tasks: [wanted("small", 5, 1), wanted("large", 1, 4)],
        launches: {
          a: [
            ["large", "s0", 1],
            ["small", "s0", 1],
          ],
        },
      },
      {
        name: "priority goes before size",
        offers: [offer("a", [5])],
        tasks: [wanted("small", 5, 1, { priority: 1 }), wanted("large", 1, 4)],
        launches: { a: [["small", "s0", 5]] },
      },
      {
        name: "a task keeps to the nodes it selects",
        offers: [offer("a", [4, 4, { zone: "a" }], [9, 9, { zone: "b" }])],
        tasks: [wanted("t", 3, 2, { nodeSelector: { zone: "b" } })],
        launches: { a: [["t", "s1", 3]] },
      },
      {
        name: "every resource counts",
        offers: [offer("a", [10, 3])],
        tasks: [wanted("t", 5, 2)],
        launches: { a: [["t", "s0", 1]] },
      },
    ],
  )("$name", ({ offers, tasks, launches }) => {
    const said = decide(offers, tasks).map((decision) => [
      decision.offer,
      decision.launches.map(({ task, slice, count }) => [task, slice, count]),
    ]);
    expect(Object.fromEntries(said)).toEqual(launches);
  });

  const vector = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }));
  const anyOffers = fc
    .array(fc.array(vector, { minLength: 1, maxLength: 5 }), { maxLength: 5 })
    .map((list) => list.map((slices, index) => offer(`o${index}`, ...slices)));
  const anyWanted = fc
    .array(fc.tuple(vector, fc.integer({ min: 1, max: 30 }), fc.integer({ min: -1, max: 1 })), { maxLength: 5 })
    .map((list) =>
      list.map(([need, count, priority], index) => wanted(`t${index}`, count, 0, { need: amounts(...need), priority })),
    );

  test("never take more than was offered or is wanted, and leave nothing that fits", () => {
    fc.assert(
      fc.property(anyOffers, anyWanted, (offers, tasks) => {
        const decisions = decide(offers, tasks);
        expect(decisions.map((decision) => decision.offer)).toEqual(offers.map(({ name }) => name));
        const left = new Map(tasks.map(({ task, count }) => [task, count]));
        const free = new Map(offers.flatMap((o) => o.slices.map((slice) => [`${o.name}/${slice.name}`, slice.free])));
        for (const { offer: name, launches } of decisions) {
          for (const { task, slice, count } of launches) {
            expect(count).toBeGreaterThan(0);
            left.set(task, left.get(task)! - count);
            const need = tasks.find((each) => each.task === task)!.need;
            free.set(`${name}/${slice}`, minus(free.get(`${name}/${slice}`)!, need, count));
          }
        }
        expect(Math.min(0, ...left.values())).toBe(0);
        for (const amount of free.values()) expect(Math.min(...amount.values())).toBeGreaterThanOrEqual(0);
        for (const { task, need } of tasks) {
          if (left.get(task) === 0) continue;
          for (const amount of free.values()) expect(timesFitting(need, amount)).toBe(0);
        }
      }),
    );
  });

  test("an answer has no more launches than it may", () => {
    const tasks = Array.from({ length: 300 }, (_, index) => wanted(`t${index}`, 1, 1));
    const [decision] = decide([offer("a", [1000])], tasks);
    expect(decision!.launches.length).toBe(256);
  });
});
