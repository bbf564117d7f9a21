/** One thing that `npm run check` looks at. */
export interface Step {
  readonly name: string;
  run(): Promise<StepResult>;
}

export interface StepResult {
  readonly ok: boolean;
  /** Shown when the step failed. */
  readonly output: string;
}

export interface Tally {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Runs the steps, `atOnce` at a time, and prints a line for each as it ends; what a step printed follows if it failed. A step
 * that throws has failed.
 */
export async function runSteps(
  steps: readonly Step[],
  atOnce: number,
  print: (line: string) => void = console.log,
): Promise<Tally> {
  const waiting = [...steps];
  const width = Math.max(0, ...steps.map(({ name }) => name.length));
  let passed = 0;
  async function work(): Promise<void> {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const startedMs = performance.now();
      const { ok, output } = await settle(step);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      if (ok) passed++;
      print(`${ok ? "ok    " : "FAILED"}  ${step.name.padEnd(width)}  ${seconds.padStart(5)} s`);
      if (!ok) print(indent(output));
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work));
  return { passed, failed: steps.length - passed };
}

async function settle(step: Step): Promise<StepResult> {
  try {
    return await step.run();
  } catch (error) {
    return { ok: false, output: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

const indent = (text: string) => text.trimEnd().replaceAll(/^(?=.)/gm, "    ");
