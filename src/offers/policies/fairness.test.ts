import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";

/**
 * What DRF promises (Ghodsi et al., NSDI'11), for random demands in one pool. On whole tasks it holds within the size
 * of one task: pools are large, tasks small.
 */
interface User {
  readonly cpu: number;
  readonly memory: number;
  readonly wants: number;
}

const CPU = 400;
const MEMORY = 400;
/** The largest share that one task can have. */
const ONE = 10 / 400;

const user = fc.record({
  cpu: fc.integer({ min: 1, max: 10 }),
  memory: fc.integer({ min: 1, max: 10 }),
  wants: fc.oneof(fc.constant(1_000), fc.integer({ min: 0, max: 60 })),
});
const users = fc.array(user, { minLength: 2, maxLength: 5 });

/** Tasks that each user gets. */
function allocate(list: readonly User[]): number[] {
  const made = Bench.open().node("n", { cpu: CPU, memory: MEMORY, pods: 100_000 });
  list.forEach(({ cpu, memory, wants }, i) => {
    made.framework(`f${i}`);
    if (wants > 0) made.asking(`t${i}`, { cpu, memory }, { of: `f${i}`, instances: wants });
  });
  made.settle();
  const got = list.map(() => 0);
  for (const { framework } of made.all("create-pod")) got[Number(framework.slice("ns/f".length))]!++;
  return got;
}

const share = ({ cpu, memory }: User, tasks: number) => Math.max((tasks * cpu) / CPU, (tasks * memory) / MEMORY);
/** How many of its tasks a user could run on what another one holds. */
const useful = (own: User, other: User, tasks: number) =>
  Math.min(own.wants, (other.cpu * tasks) / own.cpu, (other.memory * tasks) / own.memory);

describe("dominant resource fairness", () => {
  const runs = { numRuns: 60 };

  test("sharing incentive: nobody does worse than with an even part of the pool for itself", () => {
    fc.assert(
      fc.property(users, (list) => {
        allocate(list).forEach((tasks, i) => {
          const alone = Math.min(
            list[i]!.wants,
            CPU / list.length / list[i]!.cpu,
            MEMORY / list.length / list[i]!.memory,
          );
          expect(share(list[i]!, tasks)).toBeGreaterThanOrEqual(share(list[i]!, alone) - 2 * ONE);
        });
      }),
      runs,
    );
  });

  test("envy-freeness: nobody would rather have what another has", () => {
    fc.assert(
      fc.property(users, (list) => {
        const got = allocate(list);
        for (const [i, own] of list.entries()) {
          for (const [j, other] of list.entries()) {
            const wished = share(own, useful(own, other, got[j]!));
            expect(share(own, got[i]!), `${i} envies ${j}`).toBeGreaterThanOrEqual(wished - 2 * ONE);
          }
        }
      }),
      runs,
    );
  });

  test("Pareto efficiency: nothing that anyone could use is left over", () => {
    fc.assert(
      fc.property(users, (list) => {
        const got = allocate(list);
        const cpu = CPU - list.reduce((sum, own, i) => sum + own.cpu * got[i]!, 0);
        const memory = MEMORY - list.reduce((sum, own, i) => sum + own.memory * got[i]!, 0);
        expect(cpu).toBeGreaterThanOrEqual(0);
        expect(memory).toBeGreaterThanOrEqual(0);
        for (const [i, own] of list.entries()) {
          if (got[i]! < own.wants) expect(own.cpu > cpu || own.memory > memory).toBe(true);
        }
      }),
      runs,
    );
  });

  test("strategy-proofness: whoever lies about its demand runs no more of its tasks", () => {
    fc.assert(
      fc.property(users, user, (list, lie) => {
        const [liar] = list as [User];
        const truthful = Math.min(liar.wants, allocate(list)[0]!);
        const tasks = allocate([lie, ...list.slice(1)])[0]!;
        const gained = Math.floor(useful(liar, lie, tasks));
        expect(share(liar, gained)).toBeLessThanOrEqual(share(liar, truthful) + 2 * ONE);
      }),
      runs,
    );
  });
});
