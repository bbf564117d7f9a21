import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "./clock.test-support.ts";
import { Fifo } from "./fifo.ts";
import { Interner } from "./interner.ts";
import { JsonLines } from "./json-lines.ts";
import { compareResourceVersions } from "./resource-version.ts";
import { VersionWaiters } from "./version-waiters.ts";

test("wherever the network cuts a stream, its lines arrive whole, characters of several bytes included", () => {
  const values = fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.constant("ü€𝄞"), fc.string({ minLength: 300 })));
  fc.assert(
    fc.property(values, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
      const bytes = Buffer.from(sent.map((value) => `${JSON.stringify(value)}\n`).join(""));
      const seen: unknown[] = [];
      const lines = new JsonLines((value) => seen.push(value));
      for (let start = 0, i = 0; start < bytes.length; i++) {
        const end = start + cuts[i % cuts.length]!;
        lines.push(bytes.subarray(start, end));
        start = end;
      }
      expect(seen).toEqual(sent);
    }),
  );
});

test("a line that never ends is an error, not all of the memory", () => {
  const lines = new JsonLines(() => {});
  const megabyte = Buffer.alloc(1024 * 1024, "x");
  expect(() => {
    for (let i = 0; i < 40; i++) lines.push(megabyte);
  }).toThrow(RangeError);
});

test("resourceVersions compare as numbers of any length", () => {
  const versions = fc.bigInt({ min: 0n, max: 2n ** 80n });
  fc.assert(
    fc.property(versions, versions, (a, b) => {
      expect(Math.sign(compareResourceVersions(String(a), String(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

test("exactly those who wait for a version up to the one passed are told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 2_000 })),
      fc.integer({ min: 1, max: 2_000 }),
      async (all, at) => {
        const waiters = new VersionWaiters(new FakeClock());
        const waits = all.map((version) => waiters.wait(String(version), 1_000));
        waiters.passed(String(at));
        waiters.giveUp();
        expect(await Promise.all(waits)).toEqual(all.map((version) => version <= at));
      },
    ),
  );
});

test("equal strings become one, and the table of them stays bounded", () => {
  const { intern } = new Interner(2);
  expect([intern("a"), intern("b"), intern("c"), intern("a")]).toEqual(["a", "b", "c", "a"]);
});

test("a queue gives back what it was given, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer()), { maxLength: 5_000, size: "max" }), (steps) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) {
          expect(fifo.shift()).toBe(model.shift());
        } else {
          fifo.push(step);
          model.push(step);
        }
        expect(fifo.length).toBe(model.length);
      }
    }),
    { numRuns: 30 },
  );
});
