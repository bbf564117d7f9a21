import { DASHBOARDS } from "../dashboards/dashboards.ts";
import type { Generator } from "./output.ts";

const FOLDER = "charts/proffer/dashboards";

/** `charts/proffer/dashboards`: what the chart puts into its ConfigMap for Grafana. */
export const dashboardGenerator: Generator = {
  name: "dashboards",
  ownedFolders: [FOLDER],
  generate: () =>
    Object.entries(DASHBOARDS).map(([name, made]) => ({
      path: `${FOLDER}/${name}.json`,
      content: `${JSON.stringify(made, null, 2)}\n`,
    })),
};
