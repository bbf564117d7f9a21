import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { operator } from "./operator.ts";
import { overview } from "./overview.ts";
import { dashboard } from "./parts.ts";
import { queues } from "./queues.ts";

/** Every dashboard of the chart by its name. To add one, put its shape here. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = Object.fromEntries(
  [overview, queues, operator].map((shape) => [shape.name, dashboard(shape)]),
);
