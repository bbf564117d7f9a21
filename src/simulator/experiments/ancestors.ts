import type { Experiment } from "./experiment.ts";

/** A system before Proffer, as a configuration of it. */
export interface Ancestor {
  readonly title: string;
  /** Under `examples`. */
  readonly folder: string;
  readonly frameworkPer: Experiment["frameworkPer"];
  /** Ends of the names of its files, where there is more than one kind of it. */
  readonly modes: readonly { readonly title: string; readonly suffix: string }[];
}

const ONE = [{ title: "", suffix: "" }];

const OMEGA_MODES = [
  { title: "fit, incremental", suffix: "-resource-fit-incremental" },
  { title: "fit, all or nothing", suffix: "-resource-fit-all-or-nothing" },
  { title: "version, incremental", suffix: "-version-incremental" },
  { title: "version, all or nothing", suffix: "-version-all-or-nothing" },
];

/** The first is what the others are compared with. */
const ANCESTORS: readonly Ancestor[] = [
  { title: "Static partitioning", folder: "static-partitioning", frameworkPer: "tenant", modes: ONE },
  { title: "Hadoop 1", folder: "hadoop-1", frameworkPer: "tenant", modes: ONE },
  { title: "YARN Capacity", folder: "yarn-capacity", frameworkPer: "job", modes: ONE },
  { title: "YARN Fair", folder: "yarn-fair", frameworkPer: "job", modes: ONE },
  { title: "Mesos", folder: "mesos", frameworkPer: "tenant", modes: ONE },
  { title: "Omega:", folder: "omega", frameworkPer: "tenant", modes: OMEGA_MODES },
];

/** One configuration that can be run. */
export interface Variant {
  readonly name: string;
  readonly ancestor: Ancestor;
  readonly suffix: string;
}

export const VARIANTS: readonly Variant[] = ANCESTORS.flatMap((ancestor) =>
  ancestor.modes.map(({ title, suffix }) => ({ name: [ancestor.title, title].join(" ").trim(), ancestor, suffix })),
);

/** Path, under `examples`, of the variant's configuration for a cluster. */
export const fileOf = ({ ancestor, suffix }: Variant, cluster: "nsdi" | "small"): string =>
  `${ancestor.folder}/${cluster}${suffix}.yaml`;
