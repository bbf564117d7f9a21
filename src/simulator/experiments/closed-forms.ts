import { Random } from "../random.ts";
import type { Configuration } from "./configuration.ts";
import { runExperiment } from "./experiment.ts";
import type { Job } from "./jobs.ts";
import { nodesOf } from "./site.ts";

/** How long the tasks of the others run: all alike, or exponentially. */
export type Durations = "constant" | "exponential";
export type FrameworkKind = "elastic" | "rigid";

/** In units of T, the mean task time. */
export interface Ramp {
  /** Until the framework holds all k slots. */
  readonly rampUp: number;
  /** Until the job is done. */
  readonly completion: number;
  /** Of the slots from when they are held to when they are given back, the part of the time they work. */
  readonly utilisation: number;
}

/** Table 2 of the Mesos paper (NSDI'11). `beta`: how many T the job takes on k slots that are all there at once. */
export function published(kind: FrameworkKind, durations: Durations, k: number, beta: number): Ramp {
  const constant = durations === "constant";
  const rampUp = constant ? 1 : Math.log(k);
  if (kind === "elastic") return { rampUp, completion: (constant ? 0.5 : 1) + beta, utilisation: 1 };
  return constant
    ? { rampUp, completion: 1 + beta, utilisation: beta / (0.5 + beta) }
    : { rampUp, completion: Math.log(k) + beta, utilisation: beta / (Math.log(k) - 1 + beta) };
}

export interface RampTrial {
  readonly kind: FrameworkKind;
  readonly durations: Durations;
  readonly slots: number;
  readonly beta: number;
  /** Into how many parts a T of an elastic job's work is divided. */
  readonly grain: number;
  readonly seed: number;
}

const T_MS = 1_000_000;
const PER_NODE = 50;
/** One slot more, which the others keep: whoever has nothing at all comes first, whatever the weights. */
const FOR_EVER_MS = 1_000 * T_MS;
const SLOT = { cpu: 1_000, memory: 1_024 };

/** Two Offers frameworks; everything is due to `job`. */
const CONFIGURATION: Configuration = {
  queues: [{ name: "all", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] }],
  frameworks: [framework("others", 1), framework("job", 1_000_000)],
};

function framework(name: string, weight: number): Configuration["frameworks"][number] {
  return {
    key: `ns/${name}`,
    uid: name,
    queues: [{ name: "all", weight }],
    scheduler: "Offers",
    placement: "",
    concurrency: "Exclusive",
    offerTimeoutMs: 30_000,
    maxOutstanding: 16,
    slack: 1,
    minimum: {},
    suppressed: false,
    revive: 0,
    demand: [],
    answerers: [name],
    unreachableAfterMs: 60_000,
  };
}

/**
 * All k slots run tasks of others, who want ever more of them; then a framework comes to which all of them are due. It gets
 * each as a task of the others ends: the ramp-up of the paper's section 4, through real offers and answers.
 */
function measureRamp(trial: RampTrial): Ramp {
  const { slots } = trial;
  const arrivalMs = 1_000;
  const outcome = runExperiment({
    nodes: [
      ...nodesOf(slots / PER_NODE, { cpu: SLOT.cpu * PER_NODE, memory: SLOT.memory * PER_NODE }),
      ...nodesOf(1, SLOT, "extra"),
    ],
    configuration: CONFIGURATION,
    jobs: jobsOf(trial, arrivalMs),
    frameworkPer: "tenant",
    thinking: () => ({ answerMs: 0, instanceMs: 0, among: "Fifo" }),
    roundMinIntervalMs: 0,
    until: "job",
  });
  const stints = outcome.stints.filter(({ job }) => job === "job");
  const lastGainedMs = Math.max(
    ...outcome.stints.flatMap(({ job, finishedMs }) => (job === "early" ? [finishedMs] : [])),
  );
  const sum = (lengths: readonly number[]) => lengths.reduce((all, ms) => all + ms, 0);
  const worked = sum(stints.map(({ startedMs, finishedMs }) => finishedMs - startedMs));
  const held = sum(stints.map(({ placedMs, finishedMs }) => finishedMs - placedMs));
  const { finishedMs } = outcome.records.find(({ job }) => job.name === "job")!;
  return {
    rampUp: (lastGainedMs - arrivalMs) / T_MS,
    completion: (finishedMs - arrivalMs) / T_MS,
    utilisation: worked / held,
  };
}

function jobsOf({ kind, durations, slots, beta, grain, seed }: RampTrial, arrivalMs: number): Job[] {
  const random = new Random(seed);
  const left = () => Math.round(T_MS * (durations === "constant" ? random.next() : -Math.log(1 - random.next())));
  const own =
    kind === "rigid"
      ? Array.from({ length: slots }, () => beta * T_MS)
      : Array.from({ length: slots * beta * grain }, () => T_MS / grain);
  const job = (name: string, tenant: string, atMs: number, runMs: readonly number[], rigid: boolean): Job => {
    return { name, tenant, kind: tenant, stages: [{ runMs, requests: SLOT, rigid }], submit: { atMs } };
  };
  return [
    // What is left of the others' tasks when the job comes: of tasks of one length any part, of exponential ones as much again.
    job("early", "others", 0, [...Array.from({ length: slots }, () => arrivalMs + left()), FOR_EVER_MS], false),
    job(
      "late",
      "others",
      1,
      Array.from({ length: slots }, () => T_MS),
      false,
    ),
    job("job", "job", arrivalMs, own, kind === "rigid"),
  ];
}

/** The mean of so many runs, with the seeds 1, 2, 3, … */
export function meanRamp(trial: Omit<RampTrial, "seed">, seeds: number): Ramp {
  const ramps = Array.from({ length: seeds }, (_, i) => measureRamp({ ...trial, seed: i + 1 }));
  const mean = (of: (ramp: Ramp) => number) => ramps.reduce((sum, ramp) => sum + of(ramp), 0) / seeds;
  return {
    rampUp: mean(({ rampUp }) => rampUp),
    completion: mean(({ completion }) => completion),
    utilisation: mean(({ utilisation }) => utilisation),
  };
}

/**
 * How the four cases are tried. ln k stands for 1 + 1/2 + … + 1/k, the mean of the greatest of k exponential times, which is
 * ln k + 0.58: k has to be large before that is less than a tenth.
 */
export const RAMP_TRIALS: readonly { trial: Omit<RampTrial, "seed">; seeds: number }[] = [
  { trial: { kind: "elastic", durations: "constant", slots: 200, beta: 5, grain: 4 }, seeds: 2 },
  { trial: { kind: "elastic", durations: "exponential", slots: 400, beta: 8, grain: 2 }, seeds: 2 },
  { trial: { kind: "rigid", durations: "constant", slots: 400, beta: 5, grain: 1 }, seeds: 2 },
  { trial: { kind: "rigid", durations: "exponential", slots: 1_000, beta: 5, grain: 1 }, seeds: 5 },
];
