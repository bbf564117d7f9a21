import { lintChart } from "./chart.ts";
import { runCommand } from "./command.ts";
import { checkFileLengths } from "./file-length.ts";
import type { Step } from "./step.ts";

/** Everything that is checked without running the program, the longest first. To check one thing more, put it here. */
export const STEPS: readonly Step[] = [
  { name: "unused code", run: () => runCommand("knip", ["--no-config-hints", "--no-progress"]) },
  // Formatting, lint and layering are one run: the rules stand in biome.json.
  { name: "format, lint, layering", run: () => runCommand("biome", ["check", "--error-on-warnings", "."]) },
  { name: "types", run: () => runCommand("tsc", ["--noEmit"]) },
  { name: "generated files", run: () => runCommand("node", ["tools/generate.ts", "--check"]) },
  { name: "chart", run: lintChart },
  { name: "file length", run: checkFileLengths },
];
