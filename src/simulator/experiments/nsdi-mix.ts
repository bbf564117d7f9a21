import { Random } from "../random.ts";
import type { Job, Stage } from "./jobs.ts";
import type { NsdiTables } from "./nsdi-tables.ts";

/** What the paper does not say and had to be chosen. Seconds, unless the name says otherwise. */
export interface Choices {
  /** Mean time of a map (or only) task of each bin of Table 3, and of a reduce task. */
  readonly mapS: Readonly<Record<number, number>>;
  readonly reduceS: number;
  /** A join becomes so many steps of maps and reduces, one after another. */
  readonly joinSteps: number;
  readonly largeMapS: number;
  readonly sparkIterations: number;
  readonly sparkTasks: number;
  readonly sparkTaskS: number;
  /** When the MPI jobs are submitted: six small ones and two large ones. */
  readonly mpiSmallAtS: readonly number[];
  readonly mpiLargeAtS: readonly number[];
}

/** Task times are chosen so that the static partition takes about as long as published; nothing else was fitted. */
const CHOICES: Choices = {
  mapS: { 1: 23.6, 2: 25.4, 3: 21, 4: 23.5, 5: 30.2, 6: 19, 7: 10.2, 8: 31.8 },
  reduceS: 40,
  joinSteps: 4,
  largeMapS: 12.1,
  sparkIterations: 10,
  sparkTasks: 192,
  sparkTaskS: 11.2,
  mpiSmallAtS: [0, 150, 400, 600, 900, 1_200],
  mpiLargeAtS: [250, 750],
};

const SECONDS = 1_000;
const GIB = 1_024 * 1_024;
const HADOOP = { cpu: 1_000, memory: 3 * GIB };
const SPARK = { cpu: 1_000, memory: 3.5 * GIB };
const MPI = { cpu: 1_000, memory: 1 * GIB };

export const TENANTS = ["facebook", "large", "spark", "mpi"] as const;
/** 96 nodes of EC2's m1.xlarge. */
export const NSDI_NODES = { count: 96, allocatable: { cpu: 4_000, memory: 15 * GIB } };
const MEAN_GAP_S = 14;
const LARGE = { jobs: 10, maps: 2_400 };
const SPARK_JOBS = { jobs: 5, gapS: 120 };
const MPI_TASKS = 24;

/** The four frameworks' work of section 6.1, the same for the same seed. */
export function nsdiMix({ bins, kinds }: NsdiTables, seed: number, choices: Choices = CHOICES): Job[] {
  const random = new Random(seed);
  return [
    ...facebookJobs(bins, random, choices),
    ...largeJobs(random, choices),
    ...sparkJobs(random, choices),
    ...mpiJobs(kinds, choices),
  ];
}

function facebookJobs(bins: NsdiTables["bins"], random: Random, { mapS, reduceS, joinSteps }: Choices): Job[] {
  const order = random.shuffled(bins.flatMap((bin) => Array.from({ length: bin.jobs }, () => bin)));
  let atMs = 0;
  return order.map(({ bin, jobType, maps, reduces }, i) => {
    const job: Job = {
      name: `facebook-${i + 1}`,
      tenant: "facebook",
      kind: `${jobType}(${bin})`,
      stages: hadoopStages(
        random,
        { maps, reduces, steps: jobType === "join" ? joinSteps : 1 },
        mapS[bin] ?? 20,
        reduceS,
      ),
      submit: { atMs },
    };
    atMs += Math.round(-Math.log(1 - random.next()) * MEAN_GAP_S * SECONDS);
    return job;
  });
}

function hadoopStages(
  random: Random,
  { maps, reduces, steps }: { maps: number; reduces: number; steps: number },
  mapS: number,
  reduceS: number,
): Stage[] {
  return Array.from({ length: steps }, (_, i) => {
    const part = (tasks: number) => Math.floor(((i + 1) * tasks) / steps) - Math.floor((i * tasks) / steps);
    const [map, reduce] = [stage(random, part(maps), mapS, HADOOP), stage(random, part(reduces), reduceS, HADOOP)];
    return reduce.runMs.length > 0 ? [map, reduce] : [map];
  }).flat();
}

function largeJobs(random: Random, { largeMapS }: Choices): Job[] {
  return Array.from({ length: LARGE.jobs }, (_, i) => ({
    name: `large-${i + 1}`,
    tenant: "large",
    kind: "text search",
    stages: [stage(random, LARGE.maps, largeMapS, HADOOP)],
    submit: i === 0 ? { atMs: 0 } : { after: `large-${i}`, gapMs: 0 },
  }));
}

function sparkJobs(random: Random, { sparkIterations, sparkTasks, sparkTaskS }: Choices): Job[] {
  return Array.from({ length: SPARK_JOBS.jobs }, (_, i) => ({
    name: `spark-${i + 1}`,
    tenant: "spark",
    kind: "ALS",
    stages: Array.from({ length: sparkIterations }, () => stage(random, sparkTasks, sparkTaskS, SPARK)),
    submit: i === 0 ? { atMs: 0 } : { after: `spark-${i}`, gapMs: SPARK_JOBS.gapS * SECONDS },
  }));
}

/** Each job runs as long as published for its static partition, in which all of its tasks start at once. */
function mpiJobs(kinds: NsdiTables["kinds"], { mpiSmallAtS, mpiLargeAtS }: Choices): Job[] {
  const of = (size: string, times: readonly number[]) => {
    const kind = `${size} tachyon`;
    const runS = kinds.find(({ jobType }) => jobType === kind)?.staticS;
    if (runS === undefined) throw new Error(`the tables have no line for ${kind}`);
    const runMs = Array.from({ length: MPI_TASKS }, () => runS * SECONDS);
    return times.map((atS, i): Job => {
      const stages = [{ runMs, requests: MPI, rigid: true }];
      return { name: `mpi-${size}-${i + 1}`, tenant: "mpi", kind, stages, submit: { atMs: atS * SECONDS } };
    });
  };
  return [...of("small", mpiSmallAtS), ...of("large", mpiLargeAtS)];
}

/** Task times N(m, m/3), as in the paper's experiment on scale (30 s, 10 s), but no shorter than a tenth of the mean. */
function stage(random: Random, instances: number, meanS: number, requests: Stage["requests"]): Stage {
  const runMs = Array.from({ length: instances }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    return Math.round(Math.max(meanS / 10, meanS + (meanS / 3) * normal) * SECONDS);
  });
  return { runMs, requests };
}
