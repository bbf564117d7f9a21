import { expect, test } from "vitest";
import type { QueueFacts } from "./queue-facts.ts";
import { QueueForest } from "./queue-forest.ts";
import { QueueRegister } from "./queue-register.ts";

const queue = (name: string, parent?: string, cpu?: number, change: Partial<QueueFacts> = {}): QueueFacts => ({
  name,
  ...(parent !== undefined && { parent }),
  weight: 1,
  guarantee: cpu === undefined ? {} : { cpu: 1_000 * cpu },
  limit: {},
  namespaces: [],
  ...change,
});

/** All of them are in force. */
function forest(...queues: QueueFacts[]): QueueForest {
  const made = new QueueForest((name) => queues.find((each) => each.name === name));
  for (const each of queues) {
    expect(made.problemOf(each)).toBeUndefined();
    made.put(each);
  }
  return made;
}

test("what a queue states counts above it instead of what those below it do", () => {
  const made = forest(queue("top", undefined, 6), queue("middle", "top", 5), queue("a", "middle", 4));
  expect(made.problemOf(queue("b", "middle", 1))).toBeUndefined();
  expect(made.problemOf(queue("b", "middle", 2))).toContain("below middle would be guaranteed 6 cpu");
  expect(made.problemOf(queue("b", "top", 1))).toBeUndefined();
  expect(made.problemOf(queue("b", "top", 2))).toContain("below top would be guaranteed 7 cpu");
});

test("a queue that states nothing brings what those below it are guaranteed wherever it goes", () => {
  const made = forest(queue("top", undefined, 5), queue("middle"), queue("a", "middle", 6));
  expect(made.problemOf(queue("middle", "top"))).toContain("below top would be guaranteed 6 cpu");
  made.put(queue("a", "middle", 4));
  made.put(queue("middle", "top"));
  expect(made.problemOf(queue("b", "top", 2))).toContain("below top would be guaranteed 6 cpu");
  made.put(queue("middle"));
  expect(made.problemOf(queue("b", "top", 5))).toBeUndefined();
});

test("what it states is no more than its limit, and that of those below it is no more than theirs allow", () => {
  const made = forest(queue("top", undefined, undefined, { limit: { cpu: 5_000 } }), queue("a", "top", 2));
  expect(made.problemOf(queue("a", "top", 5))).toBeUndefined();
  expect(made.problemOf(queue("a", "top", 6))).toContain("above the limit of top, which is 5 cpu: 5 cpu are left");
  const limited = { limit: { cpu: 2_000 } };
  expect(made.problemOf(queue("a", "top", 2, limited))).toBeUndefined();
  expect(made.problemOf(queue("a", "top", 3, limited))).toContain("its guarantee of 3 cpu is above its limit of 2 cpu");
});

test("of a long circle the first eight are named", () => {
  const names = [..."abcdefghij"];
  const queues = names.map((name, i) => queue(name, names[(i + 1) % names.length]!));
  const made = new QueueForest((name) => queues.find((each) => each.name === name));
  expect(made.problemOf(queues[0]!)).toContain("(a, b, c, d, e, f, g, h)");
});

test("whoever declares a queue is told of those of which something has changed, and of no others", () => {
  const register = new QueueRegister();
  register.open();
  const told = (...queues: QueueFacts[]) => queues.map((each) => register.observe(each, undefined));
  expect(told(queue("top", undefined, 5), queue("a", "top", 3), queue("b", "top", 3))).toEqual([["top"], ["a"], ["b"]]);
  // The same again; another of which nothing comes into force: what is said of it is another matter, and of b what is left.
  expect(told(queue("b", "top", 3))).toEqual([[]]);
  expect(told(queue("b", "top", 4))).toEqual([["b"]]);
  expect(told(queue("a", "top", 2))).toEqual([["a", "b"]]);
  expect(register.gone("top").sort()).toEqual(["a", "b"]);
  expect(register.gone("b")).toEqual([]);
});

test("what an earlier term has left of a queue stands, though the queue is seen twice before all are", () => {
  const register = new QueueRegister();
  const [good, bad] = [queue("a", undefined, 2), queue("a", "nobody", 2)];
  register.observe(bad, { lastGood: good, inForce: true });
  register.observe(bad, undefined);
  register.open();
  expect(register.get("a")).toMatchObject({ inForce: true, lastGood: good });
});
