import fc from "fast-check";

/** What breaks a rule mostly breaks it at once: no more runs of a property than this, and the same ones each time. */
const MOST_RUNS = 60;

function assert(property: fc.IProperty<unknown>, parameters: fc.Parameters<unknown> = {}): void {
  void fc.assert(property, { ...parameters, numRuns: MOST_RUNS, seed: 1 });
}

export default { ...fc, assert };
