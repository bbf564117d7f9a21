import fc from "fast-check";
import { expect, test } from "vitest";
import { counted, Scene } from "./serving.test-support.ts";

const onMemory = { order: "Fair", fairResource: "memory" } as const;

test("on memory, everybody has the same of it, however much CPU that takes", () => {
  const scene = new Scene({ cpu: 200, memory: 12 }).queue("top", onMemory);
  scene.leaf("a", { parent: "top" }).leaf("b", { parent: "top" });
  scene.wants("a", { asks: { cpu: 30, memory: 1 } }).wants("b", { asks: { cpu: 1, memory: 1 } });
  expect(counted(scene.served())).toEqual({ a: 6, b: 6 });
});

test("the same by dominant share is another matter: CPU is what counts for a", () => {
  const scene = new Scene({ cpu: 200, memory: 12 }).queue("top");
  scene.leaf("a", { parent: "top" }).leaf("b", { parent: "top" });
  scene.wants("a", { asks: { cpu: 30, memory: 1 } }).wants("b", { asks: { cpu: 1, memory: 1 } });
  // 15 % of the CPU an instance against 8.3 % of the memory: 4 · 15 % and 8 · 8.3 %.
  expect(counted(scene.served())).toEqual({ a: 4, b: 8 });
});

test("twice the weight is due twice as much, to queues and to frameworks", () => {
  const scene = new Scene({ memory: 18, cpu: 100 }, onMemory).leaf("heavy", { weight: 2 }).queue("light", onMemory);
  scene.framework("x", "light", 3).framework("y", "light", 1);
  scene.queue("light", { ...onMemory, weight: 1 });
  for (const name of ["heavy", "x", "y"]) scene.wants(name, { asks: { memory: 0.5, cpu: 1 } });
  expect(counted(scene.served())).toEqual({ heavy: 24, x: 9, y: 3 });
});

test("what is held of other resources does not count at all", () => {
  const scene = new Scene({ cpu: 100, memory: 4 }, onMemory).leaf("a").leaf("b");
  scene.holds("a", { cpu: 50 }, 1);
  for (const name of ["a", "b"]) scene.wants(name, { asks: { memory: 1 } });
  expect(counted(scene.served())).toEqual({ a: 2, b: 2 });
});

test("a queue that is fair about one resource shows the level above all that its children have, not the least of it twice", () => {
  const scene = new Scene({ cpu: 100, memory: 100 }).queue("fair", onMemory).leaf("alone");
  scene.leaf("a", { parent: "fair" }).leaf("b", { parent: "fair" });
  scene.holds("a", { memory: 1 }, 8).holds("b", { memory: 1 }, 2).holds("alone", { memory: 1 }, 6);
  for (const name of ["a", "b", "alone"]) scene.wants(name, { asks: { memory: 1 }, instances: 4 });
  expect(scene.served().join(" ")).toMatch(/^(alone ){4}(b ){4}/);
});

test("a resource that no node has yet leaves all equal, and counts from the moment that one has it", () => {
  const scene = new Scene({ cpu: 4 }, { order: "Fair", fairResource: "example.com/gpu" }).leaf("a").leaf("b");
  for (const name of ["a", "b"]) scene.wants(name, { asks: { cpu: 1 }, instances: 2 });
  expect(scene.served()).toEqual(["a", "b", "a", "b"]);
  scene.made.node("m", { "example.com/gpu": 4, cpu: 4, pods: 100 });
  scene.holds("a", { "example.com/gpu": 1 }, 2);
  for (const name of ["a", "b"]) scene.wants(name, { asks: { "example.com/gpu": 1 } }, `${name}-gpu`);
  expect(scene.served()).toEqual(["b", "b"]);
});

test("nobody has more of it, by its weight, than one who still wants some, by more than one instance", () => {
  const user = fc.record({
    memory: fc.integer({ min: 1, max: 10 }),
    cpu: fc.integer({ min: 0, max: 10 }),
    weight: fc.integer({ min: 1, max: 4 }),
    wants: fc.integer({ min: 0, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(user, { minLength: 2, maxLength: 5 }), (list) => {
      const scene = new Scene({ cpu: 10_000, memory: 200 }, onMemory);
      list.forEach(({ weight, memory, cpu, wants }, i) => {
        scene.leaf(`q${i}`, { weight });
        if (wants > 0) scene.wants(`q${i}`, { asks: { memory, cpu }, instances: wants });
      });
      const got = counted(scene.served());
      const left = 200 - list.reduce((sum, { memory }, i) => sum + memory * (got[`q${i}`] ?? 0), 0);
      for (const [i, own] of list.entries()) {
        for (const [j, other] of list.entries()) {
          const [mine, theirs] = [got[`q${i}`] ?? 0, got[`q${j}`] ?? 0];
          // Too large for what was left when its turn came: others go on.
          if (theirs >= other.wants || other.memory > left + own.memory) continue;
          expect(((mine - 1) * own.memory) / own.weight).toBeLessThanOrEqual((theirs * other.memory) / other.weight);
        }
      }
    }),
    { numRuns: 60 },
  );
});
