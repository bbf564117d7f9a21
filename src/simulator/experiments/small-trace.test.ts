import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileOf, VARIANTS, type Variant } from "./ancestors.ts";
import { readConfiguration } from "./configuration.ts";
import { runExperiment } from "./experiment.ts";
import { nodesOf } from "./site.ts";
import { FIRST_PLACES, SMALL_JOBS, SMALL_NODE, smallThinking } from "./small-trace.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");

function run(variant: Variant) {
  return runExperiment({
    nodes: nodesOf(1, SMALL_NODE),
    configuration: readConfiguration(join(EXAMPLES, fileOf(variant, "small"))),
    jobs: SMALL_JOBS,
    frameworkPer: variant.ancestor.frameworkPer,
    thinking: smallThinking,
    roundMinIntervalMs: 0,
  });
}

/** "7 × 9–13": so many instances of the job began at second 9 and ended at second 13. In the order of their starts. */
function times(variant: Variant, job: string): string[] {
  const counts = new Map<string, number>();
  const stints = [...run(variant).stints].filter((stint) => stint.job === job);
  for (const { startedMs, finishedMs } of stints.sort((a, b) => a.startedMs - b.startedMs)) {
    const key = `${startedMs / 1_000}–${finishedMs / 1_000}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => `${count} × ${key}`);
}

/** Worked out by hand in docs/experiments.md. */
const OMEGA_ALL = { ads: ["7 × 11–15", "1 × 16–20"], bio: ["4 × 1–7", "1 × 8–14"] };
const BY_HAND: Readonly<Record<string, { readonly ads: readonly string[]; readonly bio: readonly string[] }>> = {
  "Static partitioning": { ads: ["4 × 2–6", "4 × 8–12"], bio: ["2 × 1–7", "2 × 8–14", "1 × 15–21"] },
  "Hadoop 1": { ads: ["8 × 0–4"], bio: ["4 × 4–10", "1 × 10–16"] },
  "YARN Capacity": { ads: ["7 × 0–4", "1 × 4–8"], bio: ["1 × 0–6", "2 × 4–10", "1 × 6–12", "1 × 8–14"] },
  "YARN Fair": { ads: ["6 × 0–4", "2 × 4–8"], bio: ["2 × 0–6", "1 × 4–10", "2 × 6–12"] },
  Mesos: { ads: ["4 × 2–6", "4 × 8–12"], bio: ["3 × 1–7", "2 × 8–14"] },
  "Omega: fit, incremental": { ads: ["7 × 9–13", "1 × 15–19"], bio: ["4 × 1–7", "1 × 8–14"] },
  "Omega: fit, all or nothing": OMEGA_ALL,
  "Omega: version, incremental": OMEGA_ALL,
  "Omega: version, all or nothing": OMEGA_ALL,
};

describe("the trace that can be followed by hand", () => {
  test.each(VARIANTS)("$name starts and ends everything when it was worked out to", (variant) => {
    expect({ ads: times(variant, "ads-1"), bio: times(variant, "bio-1") }).toEqual(BY_HAND[variant.name]);
  });

  test("six systems give six outcomes: who starts first, and when each job is done", () => {
    const six = VARIANTS.filter(({ ancestor }, i) => VARIANTS.findIndex((other) => other.ancestor === ancestor) === i);
    const ends = six.map((variant) =>
      run(variant)
        .records.map(({ finishedMs }) => finishedMs)
        .join(),
    );
    expect(six).toHaveLength(6);
    expect(new Set(ends).size).toBe(6);
    expect(new Set(six.map(({ ancestor }) => JSON.stringify(FIRST_PLACES[ancestor.folder]))).size).toBe(6);
  });

  test.each(VARIANTS)("$name gives each tenant the places it was worked out to give first", (variant) => {
    // Before anything ends.
    const first = run(variant).stints.filter(({ placedMs }) => placedMs < 4_000);
    const count = (job: string) => first.filter((stint) => stint.job === job).length;
    expect({ ads: count("ads-1"), bio: count("bio-1") }).toEqual(FIRST_PLACES[variant.ancestor.folder]);
  });
});
