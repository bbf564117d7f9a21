import { describe, expect, test } from "vitest";
import { Borrowing } from "./borrowing.ts";

/** `SEEDS=10000` for the long run; `SEED=7` for one seed alone. */
const seeds = Math.ceil(Number(process.env.SEEDS ?? 1_000) / 10);
const only = process.env.SEED;
const MINUTES = 60_000;

describe.skipIf(only !== undefined)("everybody borrows what he can, and guarantees are met all the same", () => {
  test.each([
    { name: "under one leader", more: {} },
    { name: "though leaders change every 25 s", more: { termMs: 25_000 } },
  ])("$name", { timeout: 300_000 }, ({ more }) => {
    let evictions = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      evictions += new Borrowing({ seed, ...more }).run(5 * MINUTES).guarantees.evictions;
    }
    expect(evictions).toBeGreaterThan(seeds);
  });
});

test.skipIf(only === undefined)(`seed ${only}`, () => {
  const trace = (line: string) => process.stdout.write(`${line}\n`);
  const more = process.env.TERM_MS === undefined ? {} : { termMs: Number(process.env.TERM_MS) };
  new Borrowing({ seed: Number(only), trace, ...more }).run(5 * MINUTES);
});
