import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock, settle } from "./clock.test-support.ts";
import { type LaneOptions, type Result, Workqueue, type WorkqueueOptions } from "./workqueue.ts";

type Lane = "launch" | "status";

const lanes: LaneOptions<Lane>[] = [{ name: "launch" }, { name: "status" }];

/** A queue whose runs begin and end as the test says. */
class Bench {
  readonly clock = new FakeClock();
  readonly queue: Workqueue<Lane>;
  /** Every run in order of its start. */
  readonly started: string[] = [];
  /** Keys that were started while they ran. */
  readonly doubles: string[] = [];
  readonly running = new Map<string, (outcome?: Result | Error) => void>();

  constructor(options: Partial<WorkqueueOptions<Lane>> = {}) {
    this.queue = new Workqueue<Lane>({
      clock: this.clock,
      random: () => 1,
      lanes,
      concurrency: 1,
      handle: (key, lane) => {
        if (this.running.has(key)) this.doubles.push(key);
        this.started.push(`${key}@${lane}`);
        return new Promise((resolve, reject) => {
          this.running.set(key, (outcome) => {
            this.running.delete(key);
            if (outcome instanceof Error) reject(outcome);
            else resolve(outcome);
          });
        });
      },
      ...options,
    });
  }

  async end(key: string, outcome?: Result | Error): Promise<void> {
    await settle();
    this.running.get(key)?.(outcome);
    await settle();
  }

  /** Ends whatever runs until nothing does. */
  async endAll(): Promise<void> {
    await settle();
    for (let [key] = this.running.keys(); key !== undefined; [key] = this.running.keys()) await this.end(key);
  }
}

describe("properties", () => {
  const keys = fc.constantFrom("a", "b", "c", "d");
  const lane = fc.constantFrom<Lane>("launch", "status");
  const steps = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant("add" as const), key: keys, lane }),
      fc.record({ do: fc.constant("addAfter" as const), key: keys, lane, delayMs: fc.nat(5_000) }),
      fc.record({ do: fc.constant("succeed" as const), key: keys, requeueAfterMs: fc.option(fc.nat(5_000)) }),
      fc.record({ do: fc.constant("fail" as const), key: keys }),
      fc.record({ do: fc.constant("wait" as const), ms: fc.nat(2_000) }),
    ),
    { maxLength: 60 },
  );

  test("no key is ever handled twice at once, no more run than allowed, and no addition is without a later run", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (script, concurrency) => {
        const rate = { perSecond: 5, burst: 1 };
        const bench = new Bench({ concurrency, lanes: [{ name: "launch" }, { name: "status", rate }] });
        /** Keys added (or due) since their last start. */
        const owed = new Set<string>();
        let seen = 0;
        const look = (): void => {
          for (const run of bench.started.slice(seen)) owed.delete(run.split("@")[0] ?? "");
          seen = bench.started.length;
          expect(bench.running.size).toBeLessThanOrEqual(concurrency);
        };
        for (const step of script) {
          await settle();
          look();
          if (step.do === "add") bench.queue.add(step.key, step.lane);
          if (step.do === "addAfter") bench.queue.addAfter(step.key, step.lane, step.delayMs);
          if (step.do === "add" || step.do === "addAfter") owed.add(step.key);
          if (step.do === "fail" && bench.running.has(step.key)) {
            owed.add(step.key);
            await bench.end(step.key, new Error("no"));
          }
          if (step.do === "succeed" && bench.running.has(step.key)) {
            const { requeueAfterMs } = step;
            if (requeueAfterMs !== null) owed.add(step.key);
            await bench.end(step.key, requeueAfterMs === null ? undefined : { requeueAfterMs });
          }
          if (step.do === "wait") await bench.clock.advance(step.ms);
        }
        for (let i = 0; i < 10; i++) {
          await bench.endAll();
          await bench.clock.advance(10_000);
        }
        await bench.endAll();
        look();
        expect([...owed]).toEqual([]);
        expect(bench.doubles).toEqual([]);
        expect([bench.queue.depth("launch"), bench.queue.depth("status"), bench.queue.running]).toEqual([0, 0, 0]);
        expect(bench.clock.pendingTimers).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe("order", () => {
  test("a key that waits is in the queue once, however often it is added", async () => {
    const bench = new Bench();
    for (const key of ["a", "b", "b", "c", "b"]) bench.queue.add(key, "launch");
    expect(bench.queue.depth("launch")).toBe(2);
    await bench.endAll();
    expect(bench.started).toEqual(["a@launch", "b@launch", "c@launch"]);
  });

  test("a key added while it is handled is handled once more, after that", async () => {
    const bench = new Bench({ concurrency: 2 });
    bench.queue.add("a", "launch");
    await settle();
    bench.queue.add("a", "launch");
    bench.queue.add("a", "launch");
    await settle();
    expect(bench.started).toEqual(["a@launch"]);
    await bench.endAll();
    expect(bench.started).toEqual(["a@launch", "a@launch"]);
  });

  test("launches go before status writes that came earlier", async () => {
    const bench = new Bench();
    for (const key of ["s1", "s2"]) bench.queue.add(key, "status");
    for (const key of ["l1", "l2"]) bench.queue.add(key, "launch");
    await bench.endAll();
    expect(bench.started).toEqual(["s1@status", "l1@launch", "l2@launch", "s2@status"]);
  });

  test("a key that waits moves up to a higher lane, and never down", async () => {
    const bench = new Bench();
    for (const key of ["x", "a", "b"]) bench.queue.add(key, "status");
    bench.queue.add("b", "launch");
    bench.queue.add("b", "status");
    expect([bench.queue.depth("launch"), bench.queue.depth("status")]).toEqual([1, 1]);
    await bench.endAll();
    expect(bench.started).toEqual(["x@status", "b@launch", "a@status"]);
  });

  test("a lane uses no more than its share of the workers", async () => {
    const bench = new Bench({ concurrency: 3, lanes: [{ name: "launch" }, { name: "status", concurrency: 1 }] });
    for (const key of ["s1", "s2", "s3"]) bench.queue.add(key, "status");
    await settle();
    bench.queue.add("l1", "launch");
    await settle();
    expect(bench.started).toEqual(["s1@status", "l1@launch"]);
    await bench.endAll();
  });
});

describe("time", () => {
  test("a failing key comes back later and later, and at once when it is added", async () => {
    const clock = new FakeClock();
    const errors: number[] = [];
    const starts: number[] = [];
    const failing = new Bench({
      clock,
      backoff: { baseMs: 100, maxMs: 400 },
      onError: (_, __, failures) => errors.push(failures),
      handle: () => {
        starts.push(clock.monotonicMs());
        return Promise.reject(new Error("no"));
      },
    });
    failing.queue.add("a", "launch");
    await clock.advance(1_500);
    expect(starts).toEqual([0, 100, 300, 700, 1_100, 1_500]);
    failing.queue.add("a", "launch");
    await settle();
    expect(starts.at(-1)).toBe(1_500);
    expect(errors).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await failing.queue.stop();
  });

  test("a success forgets the failures before it", async () => {
    const bench = new Bench({ backoff: { baseMs: 100, maxMs: 400 } });
    bench.queue.add("a", "launch");
    await bench.end("a", new Error("no"));
    await bench.clock.advance(100);
    await bench.end("a");
    bench.queue.add("a", "launch");
    await bench.end("a", new Error("no"));
    await bench.clock.advance(100);
    expect(bench.started.length).toBe(4);
    await bench.endAll();
  });

  test("a key that fails delays no other", async () => {
    const bench = new Bench();
    bench.queue.add("poison", "launch");
    bench.queue.add("b", "launch");
    await bench.end("poison", new Error("no"));
    expect(bench.started).toEqual(["poison@launch", "b@launch"]);
  });

  test("of several times for one key the earliest counts", async () => {
    const bench = new Bench();
    bench.queue.addAfter("a", "status", 500);
    bench.queue.addAfter("a", "status", 200);
    bench.queue.addAfter("a", "launch", 900);
    await bench.clock.advance(199);
    expect(bench.started).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.started).toEqual(["a@launch"]);
    await bench.end("a");
    await bench.clock.advance(1_000);
    expect(bench.started.length).toBe(1);
  });

  test("a run can say when to come back", async () => {
    const bench = new Bench();
    bench.queue.add("a", "launch");
    await bench.end("a", { requeueAfterMs: 300 });
    await bench.clock.advance(299);
    expect(bench.started.length).toBe(1);
    await bench.clock.advance(1);
    expect(bench.started.length).toBe(2);
  });

  test("a rate for busy times holds while a higher lane starts work, until things are quiet or something waits too long", async () => {
    const whileBusy = { quietMs: 300, patienceMs: 2_000 };
    const rate = { perSecond: 1, burst: 1, whileBusy };
    const bench = new Bench({ concurrency: 10, lanes: [{ name: "launch" }, { name: "status", rate }] });
    const statuses = () => bench.started.filter((run) => run.endsWith("@status")).length;
    bench.queue.add("launch-0", "launch");
    for (const key of ["a", "b", "c", "d", "e"]) bench.queue.add(key, "status");
    await bench.endAll();
    expect(statuses()).toBe(1);
    for (let i = 1; i <= 9; i++) {
      await bench.clock.advance(200);
      bench.queue.add(`launch-${i}`, "launch");
      await bench.endAll();
    }
    expect(statuses()).toBe(2);
    await bench.clock.advance(200);
    await bench.endAll();
    expect(statuses()).toBe(5);

    for (const key of ["f", "g", "h"]) bench.queue.add(key, "status");
    await bench.clock.advance(300);
    await bench.endAll();
    expect(statuses()).toBe(8);
  });

  test("a lane with a rate starts its burst at once and the rest at that rate, and holds up no other lane", async () => {
    const rate = { perSecond: 10, burst: 2 };
    const at: string[] = [];
    const bench: Bench = new Bench({
      concurrency: 10,
      lanes: [{ name: "launch", rate }, { name: "status" }],
      handle: (key) => {
        at.push(`${key}@${bench.clock.monotonicMs()}`);
        return Promise.resolve(undefined);
      },
    });
    for (const key of ["a", "b", "c", "d"]) bench.queue.add(key, "launch");
    bench.queue.add("s", "status");
    await bench.clock.advance(1_000);
    expect(at).toEqual(["a@0", "b@0", "s@0", "c@100", "d@200"]);
  });
});

describe("the end", () => {
  test("drain waits for what waits and runs, not for what is due later", async () => {
    const bench = new Bench();
    let drained = false;
    bench.queue.addAfter("later", "status", 1_000);
    for (const key of ["a", "b"]) bench.queue.add(key, "launch");
    const drain = bench.queue.drain().then(() => {
      drained = true;
    });
    await bench.end("a");
    expect(drained).toBe(false);
    await bench.end("b");
    await drain;
  });

  test("stop starts nothing any more and waits for what runs", async () => {
    const bench = new Bench();
    let stopped = false;
    for (const key of ["a", "b"]) bench.queue.add(key, "launch");
    bench.queue.addAfter("c", "launch", 10);
    await settle();
    const stop = bench.queue.stop().then(() => {
      stopped = true;
    });
    await bench.clock.advance(1_000);
    expect(stopped).toBe(false);
    await bench.end("a", new Error("no"));
    await stop;
    bench.queue.add("d", "launch");
    await bench.clock.advance(100_000);
    expect(bench.started).toEqual(["a@launch"]);
    expect(bench.clock.pendingTimers).toBe(0);
  });

  test("metrics say how long a key waited and ran", async () => {
    const records: object[] = [];
    const bench = new Bench({ onRun: (record) => records.push(record) });
    for (const key of ["a", "b"]) bench.queue.add(key, "launch");
    await bench.clock.advance(200);
    await bench.end("a");
    await bench.clock.advance(30);
    await bench.end("b", new Error("no"));
    expect(records).toEqual([
      { lane: "launch", waitedMs: 0, ranMs: 200, failed: false },
      { lane: "launch", waitedMs: 200, ranMs: 30, failed: true },
    ]);
    await bench.queue.stop();
  });
});
