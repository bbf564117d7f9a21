import { describe, expect, test } from "vitest";
import { meanRamp, published, RAMP_TRIALS } from "./closed-forms.ts";

// Seeds 1 to `seeds`; in units of the mean task time.
describe("the Mesos paper's Table 2 comes out of real offers and answers, within a tenth", () => {
  test.each(RAMP_TRIALS)(
    "$trial.kind framework, $trial.durations task times, $trial.slots slots",
    ({ trial, seeds }) => {
      const measured = meanRamp(trial, seeds);
      const expected = published(trial.kind, trial.durations, trial.slots, trial.beta);
      for (const figure of ["rampUp", "completion", "utilisation"] as const) {
        const error = measured[figure] / expected[figure] - 1;
        expect(Math.abs(error), `${figure}: ${measured[figure]}, published ${expected[figure]}`).toBeLessThan(0.1);
      }
    },
  );

  test("the same seeds give the same figures", () => {
    const { trial } = RAMP_TRIALS[2]!;
    expect(meanRamp(trial, 1)).toEqual(meanRamp(trial, 1));
  });
});
