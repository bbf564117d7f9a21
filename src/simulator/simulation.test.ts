import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Crash } from "./network.ts";
import { Simulation, type SimulationOptions } from "./simulation.ts";

/** `SEEDS=100000` for the long run; `SEED=7` for one seed alone. */
const seeds = Number(process.env.SEEDS ?? 1_000);
const only = process.env.SEED;
const CHUNK = 50;
/** A busy machine takes minutes for what takes a quiet one seconds. */
const LONG = { timeout: 300_000 };
const chunks = Array.from({ length: Math.ceil(seeds / CHUNK) }, (_, i) => i * CHUNK + 1);

describe.skipIf(only !== undefined)("from every seed, rough times break nothing and calm ends everything well", () => {
  test.each(chunks)("seeds from %i on", LONG, (first) => {
    for (let seed = first; seed < first + CHUNK && seed <= seeds; seed++) new Simulation({ seed }).run();
  });
});

test.skipIf(only === undefined)(`seed ${only}`, () => {
  new Simulation({ seed: Number(only), trace: (line) => process.stdout.write(`${line}\n`) }).run();
});

test("a seed replays exactly", () => {
  const digest = () => {
    const hash = createHash("sha256");
    const { steps } = new Simulation({ seed: 11, trace: (line) => hash.update(line) }).run();
    return { steps, digest: hash.digest("hex") };
  };
  const first = digest();
  expect(first.steps).toBeGreaterThan(100);
  expect(digest()).toEqual(first);
});

test("the simulator does what it is for: every kind of thing happens", LONG, () => {
  const happened = new Map<string, number>();
  const count = (what: string) => happened.set(what, (happened.get(what) ?? 0) + 1);
  for (let seed = 1; seed <= 60; seed++) {
    const trace = (line: string) => {
      const found = /"(?:phase|reason|type|state)":"([\w-]+)"/g;
      for (const [, what] of line.matchAll(found)) count(what!);
    };
    new Simulation({ seed, trace }).run();
  }
  const phases = ["Accepted", "Declined", "Expired", "Rescinded", "Refused", "Succeeded", "Failed"];
  const reasons = ["not-yours", "unknown-slice", "unknown-task", "not-pending", "too-large", "lost-race", "over-limit"];
  const ends = ["kubelet-refused", "evicted", "node-lost", "pod-deleted", "pod-refused", "quota-exceeded", "exit-code"];
  const absences = ["disconnected", "connected", "framework-lost", "failover-timeout", "absence-confirmed"];
  const inputs = ["pod-gone", "node-gone", "offer-gone", "offer-unpublished", "task-gone", "template-refused"];
  for (const what of [...phases, ...reasons, ...ends, ...absences, ...inputs]) {
    expect(happened.get(what) ?? 0, what).toBeGreaterThan(0);
  }
});

describe("a leader dies at each of its writes", () => {
  const calm = { lostRequest: 0, lostReply: 0, refusal: 0, requestMs: 50, replyMs: 50, watchMs: 50 };
  const crashes: readonly Crash[] = ["before", "unanswered", "after"];

  test.each([3, 8, 21])("run of seed %i", LONG, (seed) => {
    const options: SimulationOptions = { seed, roughMs: 25_000, deaths: 0, faults: calm };
    const labels: string[] = [];
    const record = (label: string): undefined => {
      labels.push(label);
    };
    new Simulation({ ...options, crash: record }).run();
    let points = 0;
    for (let at = 0; at < labels.length; at++) {
      for (const how of crashes) {
        let write = 0;
        const crash = () => (write++ === at ? how : undefined);
        try {
          new Simulation({ ...options, crash }).run();
        } catch (error) {
          throw new Error(`died ${how} write ${at}, ${labels[at]}`, { cause: error });
        }
        points++;
      }
    }
    expect(points).toBe(3 * labels.length);
    expect(new Set(labels).size).toBeGreaterThan(4);
  });
});
