import { beforeEach } from "vitest";

/** Skips the tests of a file that are about the embedded cluster itself, where another one is asked for; true where they run. */
export function needsEmbedded(): boolean {
  const where = process.env.CLUSTER || "embedded";
  if (where === "embedded") return true;
  beforeEach(({ skip, task }) => {
    const reason = `they are about the embedded cluster, not about CLUSTER=${where}`;
    Object.assign(task.meta, { skipped: reason });
    skip(reason);
  });
  return false;
}
