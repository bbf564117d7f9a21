/** Fake nodes: Node objects without a kubelet behind them, Ready from the first moment. */
import type { ApiClient, Json } from "./api-client.ts";
import type { NodeShape } from "./node-shapes.ts";
import type { Progress } from "./progress.ts";

export interface AddNodesOptions {
  /** Names of nameless nodes are `PREFIX-0000` and so on. Default `node`. */
  readonly prefix?: string;
  /** Number of the first nameless node. */
  readonly firstNumber?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Requests at a time. Default 16. */
  readonly parallel?: number;
  readonly progress?: Progress;
}

/** kwok plays the kubelet of the nodes with this annotation. */
const FAKE_NODE_ANNOTATION = { "kwok.x-k8s.io/node": "fake" } as const;

export const isFakeNode = ({ annotations = {} }: Json): boolean =>
  Object.entries(FAKE_NODE_ANNOTATION).every(([key, value]) => annotations[key] === value);

const ZONES = ["zone-a", "zone-b", "zone-c"] as const;

const CONDITIONS = [
  { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" },
  { type: "MemoryPressure", status: "False", reason: "KubeletHasSufficientMemory", message: "" },
  { type: "DiskPressure", status: "False", reason: "KubeletHasNoDiskPressure", message: "" },
  { type: "PIDPressure", status: "False", reason: "KubeletHasSufficientPID", message: "" },
];

/** The Node object of a shape, complete with its status: a create keeps it, as it does for a kubelet. */
export function nodeObject(shape: NodeShape, number: number, options: AddNodesOptions, now: Date): Json {
  const name = shape.name ?? `${options.prefix ?? "node"}-${String(number).padStart(4, "0")}`;
  const at = now.toISOString().replace(/\.\d+Z$/, "Z");
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      annotations: { ...FAKE_NODE_ANNOTATION },
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": ZONES[number % ZONES.length],
        ...(shape.gpuModel === undefined ? {} : { "proffer.dev/gpu-model": shape.gpuModel }),
        ...options.labels,
      },
    },
    status: {
      capacity: shape.resources,
      allocatable: shape.resources,
      conditions: CONDITIONS.map((condition) => ({ ...condition, lastHeartbeatTime: at, lastTransitionTime: at })),
      addresses: [
        { type: "InternalIP", address: "127.0.0.1" },
        { type: "Hostname", address: name },
      ],
      nodeInfo: {
        architecture: "amd64",
        bootID: "",
        containerRuntimeVersion: "fake",
        kernelVersion: "fake",
        kubeProxyVersion: "fake",
        kubeletVersion: "fake",
        machineID: "",
        operatingSystem: "linux",
        osImage: "fake",
        systemUUID: "",
      },
    },
  };
}

/** Creates the nodes, several at a time, and returns their names in the order given. */
export async function createNodes(
  api: ApiClient,
  shapes: readonly NodeShape[],
  options: AddNodesOptions = {},
): Promise<string[]> {
  const names: string[] = [];
  let next = 0;
  let created = 0;
  const worker = async () => {
    for (let i = next++; i < shapes.length; i = next++) {
      const object = nodeObject(shapes[i] as NodeShape, (options.firstNumber ?? 0) + i, options, new Date());
      names[i] = object.metadata.name;
      const node = await api.create("/api/v1/nodes", object);
      // Where admission taints new nodes and no controller takes that away again.
      if (node.spec.taints !== undefined) {
        await api.patch(`/api/v1/nodes/${object.metadata.name}`, { spec: { taints: null } });
      }
      created++;
      options.progress?.update(`${created} of ${shapes.length} nodes created`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.parallel ?? 16, shapes.length) }, worker));
  options.progress?.done(`${created} nodes created`);
  return names;
}
