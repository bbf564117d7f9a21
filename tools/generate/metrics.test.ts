import { expect, test } from "vitest";
import { METRICS } from "../../src/server/metric-catalogue.ts";
import { metricReferenceGenerator } from "./metrics.ts";

test("the reference has every metric with type, unit and labels", async () => {
  const [output] = await metricReferenceGenerator.generate();
  expect(output?.path).toBe("docs/reference/metrics.md");
  for (const [name, { help, type, unit }] of Object.entries(METRICS)) {
    expect(output?.content).toContain(`### \`${name}\`\n\n${help}\n\n- Type: ${type}\n- Unit: ${unit}\n- Labels: `);
  }
});
