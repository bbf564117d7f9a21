import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What takes longest, first: begun last, it would run on alone at the end. Those not named follow as Vitest has them. */
const LONGEST = [
  "src/simulator/simulation.test.ts",
  "src/simulator/borrowing.test.ts",
  "tools/prometheus/rules.test.ts",
  "test/e2e/install.test.ts",
  "test/e2e/optimistic.test.ts",
  "test/e2e/restart.test.ts",
  "test/e2e/quiet.test.ts",
  "test/e2e/failover.test.ts",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

/** A cluster that is not made for each file is used by one file at a time. */
const ownClusters = ["", "embedded"].includes(process.env.CLUSTER ?? "");

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "tools/**/*.test.ts"],
          testTimeout: 60_000,
          // By default one core is left idle, which is half of a small machine.
          maxWorkers: "100%",
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // CLUSTER=kind: one cluster for all of them.
          globalSetup: ["test/e2e/support/kind-setup.ts"],
          // Each file has a control plane of its own, which leaves half of a core idle, and waits a lot.
          maxWorkers: ownClusters ? 2 : 1,
          sequence: { groupOrder: 1 },
          env: {
            // The control plane lives for a minute and there is memory enough: it may collect its garbage more seldom.
            GOGC: "200",
            // Operators and frameworks are started a hundred times, half of their start is the compiler's.
            NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node"),
          },
          // Minutes pass while a busy machine upgrades a chart several times over.
          testTimeout: 300_000,
          // The first hook may have to build the control plane.
          hookTimeout: 1_800_000,
        },
      },
    ],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      exclude: ["**/*.test.ts", "**/*.test-support.ts"],
      // coverage/coverage-summary.json, for each file.
      reporter: ["text-summary", "json-summary"],
      // What decides who gets what, and what is still promised to whom.
      thresholds: { "src/offers/**/*.ts": { branches: 95 } },
    },
  },
});
