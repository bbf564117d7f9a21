/** What fake nodes look like: shapes from flags, or from a table of a real cluster's machines. */

/** One node to be: resources are quantities as Kubernetes writes them. */
export interface NodeShape {
  /** Absent: a number is given. */
  readonly name?: string;
  readonly resources: Readonly<Record<string, string>>;
  readonly gpuModel?: string;
}

const GPU = "nvidia.com/gpu";
/** Thousandths of a GPU, for tasks that share one. */
const GPU_MILLI = "proffer.dev/gpu-milli";
// What a kubelet allows unless told otherwise.
const DEFAULT_PODS = "110";

const QUANTITY = /^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$/;
const RESOURCE = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

function withGpus(resources: Record<string, string>, gpus: number): Record<string, string> {
  return gpus === 0 ? resources : { ...resources, [GPU]: String(gpus), [GPU_MILLI]: String(gpus * 1000) };
}

/**
 * Parses `cpu=32,memory=128Gi,gpu=8,model=A100,pods=110,example.com/fpga=2`. `cpu` and `memory` are required; `gpu` is a whole
 * number and gives `nvidia.com/gpu` and `proffer.dev/gpu-milli`; `model` is the GPU's; every other key is a resource.
 * Throws with the offending part.
 */
export function parseShape(text: string): NodeShape {
  let resources: Record<string, string> = { pods: DEFAULT_PODS };
  let gpuModel: string | undefined;
  for (const part of text.split(",")) {
    const [key = "", value = "", ...more] = part.trim().split("=");
    if (more.length > 0 || key === "" || value === "") throw new Error(`shape ${text}: "${part}" is not KEY=VALUE`);
    if (key === "model") {
      gpuModel = value;
    } else if (key === "gpu") {
      if (!/^\d+$/.test(value)) throw new Error(`shape ${text}: gpu is a whole number, not "${value}"`);
      resources = withGpus(resources, Number(value));
    } else {
      if (!RESOURCE.test(key)) throw new Error(`shape ${text}: "${key}" is no resource name`);
      if (!QUANTITY.test(value)) throw new Error(`shape ${text}: "${value}" is no quantity`);
      resources[key] = value;
    }
  }
  for (const key of ["cpu", "memory"]) {
    if (!(key in resources)) throw new Error(`shape ${text}: ${key} is missing`);
  }
  return gpuModel === undefined ? { resources } : { resources, gpuModel };
}

const COLUMNS = ["sn", "cpu_milli", "memory_mib", "gpu", "model"] as const;

/** Parses the openb trace's list of nodes: CSV without quotes, with the columns sn, cpu_milli, memory_mib, gpu, model. */
export function parseNodesCsv(text: string): NodeShape[] {
  const [header, ...rows] = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const columns = (header ?? "").split(",").map((name) => name.trim());
  const index = COLUMNS.map((name) => {
    const at = columns.indexOf(name);
    if (at < 0 && name !== "model") throw new Error(`the first line must name the columns ${COLUMNS.join(",")}`);
    return at;
  });
  return rows.map((row, line) => {
    const cells = row.split(",").map((cell) => cell.trim());
    const [name = "", cpu = "", memory = "", gpu = "", model = ""] = index.map((at) => cells[at] ?? "");
    if (name === "") throw new Error(`line ${line + 2}: no sn`);
    for (const number of [cpu, memory, gpu]) {
      if (!/^\d+$/.test(number)) throw new Error(`line ${line + 2}: "${number}" is no whole number`);
    }
    const resources = withGpus({ cpu: `${cpu}m`, memory: `${memory}Mi`, pods: DEFAULT_PODS }, Number(gpu));
    return model === "" ? { name, resources } : { name, resources, gpuModel: model };
  });
}

/** `count` nodes, of the shapes in turn. */
export function repeatShapes(shapes: readonly NodeShape[], count: number): NodeShape[] {
  if (shapes.length === 0) throw new Error("no shape given");
  return Array.from({ length: count }, (_, i) => shapes[i % shapes.length] as NodeShape);
}
