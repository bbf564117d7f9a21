import { beforeEach } from "vitest";
import { skipFor } from "./site.ts";

/** Skips the tests of a file that are about the embedded cluster itself, where another one is asked for; true where they run. */
export function needsEmbedded(): boolean {
  const where = process.env.CLUSTER || "embedded";
  if (where === "embedded") return true;
  beforeEach((test) => skipFor(test, `they are about the embedded cluster, not about CLUSTER=${where}`));
  return false;
}
