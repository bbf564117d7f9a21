import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["src/**/*.test.ts", "tools/**/*.test.ts"], testTimeout: 30_000 } },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          // CLUSTER=kind: one cluster for all of them.
          globalSetup: ["test/e2e/support/kind-setup.ts"],
          // Each file has a control plane of its own: one at a time.
          fileParallelism: false,
          testTimeout: 120_000,
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
