/**
 * Machines and pods that look like those of a large GPU cluster, drawn from small tables. The parts of the pods that ask for
 * no GPU, a fraction, one, two, four and eight are the published ones; cores and memory are round numbers of the same size.
 *
 * Source: Q. Weng, L. Yang, Y. Yu, W. Wang, X. Tang, G. Yang, L. Zhang: "Beware of Fragmentation: Scheduling GPU-Sharing
 * Workloads with Fragmentation Gradient Descent", USENIX ATC 2023.
 */
import type { Random } from "../../src/simulator/random.ts";
import type { Machine, PodSample } from "./shapes.ts";

interface PodClass {
  /** Of all pods. */
  readonly percent: number;
  readonly gpuMilli: readonly number[];
  readonly cores: readonly number[];
}

const POD_CLASSES = {
  "no GPU": { percent: 13.3, gpuMilli: [0], cores: [8, 12, 16, 32] },
  "a fraction": { percent: 37.8, gpuMilli: [230, 320, 460, 550, 650, 810], cores: [3, 4, 6, 8, 12] },
  "one GPU": { percent: 48, gpuMilli: [1000], cores: [4, 8, 11, 12, 16, 20] },
  "two GPUs": { percent: 0.2, gpuMilli: [2000], cores: [12, 20] },
  "four GPUs": { percent: 0.2, gpuMilli: [4000], cores: [32, 44] },
  "eight GPUs": { percent: 0.5, gpuMilli: [8000], cores: [64, 80, 96] },
} as const satisfies Record<string, PodClass>;

const GIB_PER_CORE = [2, 4, 4] as const;

const MACHINES = {
  G2: { percent: 45, gpus: 8, cores: 96, memoryGib: 384 },
  T4: { percent: 32, gpus: 2, cores: 104, memoryGib: 512 },
  P100: { percent: 9, gpus: 2, cores: 16, memoryGib: 120 },
  G3: { percent: 5, gpus: 8, cores: 128, memoryGib: 768 },
  V100: { percent: 9, gpus: 4, cores: 48, memoryGib: 256 },
} as const;

/** Half of the pods take less than nine minutes, one in ten more than an hour and a half. */
const MEDIAN_SECONDS = 540;
const SIGMA = 1.8;

const percents = <K extends string>(table: Readonly<Record<K, { readonly percent: number }>>): Record<K, number> =>
  Object.fromEntries(Object.entries<{ percent: number }>(table).map(([key, { percent }]) => [key, percent])) as Record<
    K,
    number
  >;

export function drawMachines(random: Random, count: number): Machine[] {
  return Array.from({ length: count }, () => {
    const model = random.weighted(percents(MACHINES));
    const { gpus, cores, memoryGib } = MACHINES[model];
    return { cpuMilli: cores * 1000, memoryMib: memoryGib * 1024, gpuMilli: gpus * 1000, model };
  });
}

export function drawPods(random: Random, count: number): PodSample[] {
  return Array.from({ length: count }, () => {
    const { gpuMilli, cores }: PodClass = POD_CLASSES[random.weighted(percents(POD_CLASSES))];
    const core = random.pick(cores)!;
    return {
      gpuMilli: random.pick(gpuMilli)!,
      cpuMilli: core * 1000,
      memoryMib: core * random.pick(GIB_PER_CORE)! * 1024,
      seconds: MEDIAN_SECONDS * Math.exp(SIGMA * normal(random)),
    };
  });
}

/** A standard normal number (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
