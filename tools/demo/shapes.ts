import type { NodeShape } from "../cluster/node-shapes.ts";

/** A GPU is shared in thousandths; whole GPUs are counted in them too, so that no GPU is counted twice. */
export const GPU_MILLI = "proffer.dev/gpu-milli";

/** An amount of each resource, in whole units. */
export interface Size {
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly gpuMilli: number;
}

export interface Machine extends Size {
  /** Absent: a number is given. */
  readonly name?: string;
  readonly model?: string;
}

/** What a pod needs, and how long it ran where the sample was taken. */
export interface PodSample extends Size {
  readonly seconds: number;
}

/** A number of pods that no node of the demo reaches. */
const PODS = "250";

/** As Kubernetes writes it; what is not needed is left out. */
export function quantitiesOf({ cpuMilli, memoryMib, gpuMilli }: Size): Record<string, string> {
  return {
    cpu: `${cpuMilli}m`,
    memory: `${memoryMib}Mi`,
    ...(gpuMilli > 0 ? { [GPU_MILLI]: String(gpuMilli) } : {}),
  };
}

export function nodeShapeOf(machine: Machine): NodeShape {
  const { name, model } = machine;
  return {
    resources: { ...quantitiesOf(machine), pods: PODS },
    ...(name === undefined ? {} : { name }),
    ...(model === undefined ? {} : { gpuModel: model }),
  };
}

/** Whether a pod would fit on the empty machine. */
export const fits = (pod: Size, machine: Size): boolean =>
  pod.cpuMilli <= machine.cpuMilli && pod.memoryMib <= machine.memoryMib && pod.gpuMilli <= machine.gpuMilli;

export function sumOf(sizes: readonly Size[]): Size {
  const sum = { cpuMilli: 0, memoryMib: 0, gpuMilli: 0 };
  for (const size of sizes) {
    sum.cpuMilli += size.cpuMilli;
    sum.memoryMib += size.memoryMib;
    sum.gpuMilli += size.gpuMilli;
  }
  return sum;
}

/** The greatest part that `size` is of `whole`, over all resources. */
export const dominantPart = (size: Size, whole: Size): number =>
  Math.max(
    size.cpuMilli / Math.max(1, whole.cpuMilli),
    size.memoryMib / Math.max(1, whole.memoryMib),
    size.gpuMilli / Math.max(1, whole.gpuMilli),
  );
