import { defineConfig } from "vitest/config";

/** What decides who gets what has its tests beside it; the simulator would find more, but takes minutes for each mutant. */
export default defineConfig({ test: { include: ["src/offers/**/*.test.ts"], testTimeout: 30_000 } });
