/** `npm run check`: all that can be said about the code without running it. `npm run check -- types chart` for some steps. */
import { runSteps } from "./check/step.ts";
import { STEPS } from "./check/steps.ts";

// Two at a time: most steps use one core, and Biome uses all there are.
const AT_ONCE = 2;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STEPS.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. There are: ${STEPS.map(({ name }) => name).join("; ")}.`);
  process.exit(2);
}
const { failed } = await runSteps(
  STEPS.filter(({ name }) => wanted.length === 0 || wanted.includes(name)),
  AT_ONCE,
);
process.exitCode = failed > 0 ? 1 : 0;
