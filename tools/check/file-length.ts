import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, runCommand } from "./command.ts";
import type { StepResult } from "./step.ts";

export const MAX_LINES = 400;

/** The program files that have become too long to be about one thing, each as a line for people. */
export function tooLong(files: readonly { path: string; text: string }[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    return lines > MAX_LINES ? [`${path}: ${lines} lines, the limit is ${MAX_LINES}: split it by concept`] : [];
  });
}

/** Checks every TypeScript file that git knows or would add. */
export async function checkFileLengths(): Promise<StepResult> {
  const patterns = ["*.ts", "*.tsx", "*.mts"];
  const listed = await runCommand("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z", ...patterns]);
  if (!listed.ok) return listed;
  const paths = listed.output.split("\0").filter((path) => path !== "");
  // A deleted file stays in git's list until the deletion is staged.
  const files = await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(ROOT, path), "utf8").catch(() => "") })),
  );
  const found = tooLong(files);
  return { ok: found.length === 0, output: found.join("\n") };
}
