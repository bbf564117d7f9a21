import { describe, expect, test } from "vitest";
import { podRequests } from "./pod-requests.ts";

const container = (requests: object, more: object = {}) => ({ name: "c", resources: { requests }, ...more });
const sidecar = (requests: object, name = "s") => ({ name, restartPolicy: "Always", resources: { requests } });
const status = (name: string, requests: object, allocatedResources?: object) => ({
  name,
  resources: { requests },
  ...(allocatedResources && { allocatedResources }),
});

/** The expected values are those of `PodRequests` itself (v0.36.3), which has seen limits stand in for requests before. */
const vectors: { name: string; pod: object; expected: Record<string, number> }[] = [
  { name: "a pod that asks for nothing still takes a place", pod: { spec: { containers: [{}] } }, expected: {} },
  {
    name: "containers add up",
    pod: { spec: { containers: [container({ cpu: "1", memory: "1Gi" }), container({ cpu: "500m", "a.b/c": "2" })] } },
    expected: { cpu: 1500, memory: 1_048_576, "a.b/c": 2 },
  },
  {
    name: "limits stand in for absent requests, name by name",
    pod: {
      spec: { containers: [{ resources: { requests: { cpu: "1" }, limits: { cpu: "4", memory: "2Gi" } } }] },
    },
    expected: { cpu: 1000, memory: 2_097_152 },
  },
  {
    name: "an init container counts only where it needs more than the containers together",
    pod: {
      spec: {
        containers: [container({ cpu: "1", memory: "1Gi" }), container({ cpu: "1" })],
        initContainers: [container({ cpu: "500m", memory: "3Gi" }), container({ cpu: "1500m" })],
      },
    },
    expected: { cpu: 2000, memory: 3_145_728 },
  },
  {
    name: "sidecars run beside the containers",
    pod: {
      spec: { containers: [container({ cpu: "1" })], initContainers: [sidecar({ cpu: "250m", memory: "64Mi" })] },
    },
    expected: { cpu: 1250, memory: 65_536 },
  },
  {
    name: "an init container runs beside the sidecars before it, not those after it",
    pod: {
      spec: {
        containers: [container({ cpu: "100m" })],
        initContainers: [sidecar({ cpu: "1" }), container({ cpu: "2" }), sidecar({ cpu: "500m" }, "t")],
      },
    },
    expected: { cpu: 3000 },
  },
  {
    name: "an init container after two sidecars runs beside both",
    pod: {
      spec: {
        containers: [container({ cpu: "100m" })],
        initContainers: [sidecar({ cpu: "1" }), sidecar({ cpu: "500m" }, "t"), container({ cpu: "2" })],
      },
    },
    expected: { cpu: 3500 },
  },
  {
    name: "the overhead of the runtime is on top",
    pod: { spec: { containers: [container({ cpu: "1" })], overhead: { cpu: "250m", memory: "120Mi" } } },
    expected: { cpu: 1250, memory: 122_880 },
  },
  {
    name: "requests of the whole pod outrank its containers', and only where given",
    pod: {
      spec: {
        resources: { requests: { cpu: "3" } },
        containers: [container({ cpu: "1", memory: "1Gi", "ephemeral-storage": "1Gi" })],
        initContainers: [container({ cpu: "8" })],
        overhead: { cpu: "100m" },
      },
    },
    expected: { cpu: 3100, memory: 1_048_576, "ephemeral-storage": 1_048_576 },
  },
  {
    name: "pod-level resources that Kubernetes does not support are passed over",
    pod: { spec: { resources: { requests: { "a.b/c": "3" } }, containers: [container({ "a.b/c": "1" })] } },
    expected: { "a.b/c": 1 },
  },
  {
    name: "pod-level hugepages",
    pod: { spec: { resources: { requests: { "hugepages-2Mi": "4Mi" } }, containers: [container({ cpu: "1" })] } },
    expected: { cpu: 1000, "hugepages-2Mi": 4096 },
  },
  {
    name: "a container being shrunk still takes what it uses",
    pod: {
      spec: { containers: [container({ cpu: "1" })] },
      status: { containerStatuses: [status("c", { cpu: "2" }, { cpu: "1" })] },
    },
    expected: { cpu: 2000 },
  },
  {
    name: "a container being grown takes what it asks for",
    pod: {
      spec: { containers: [container({ cpu: "4", memory: "1Gi" })] },
      status: { containerStatuses: [status("c", { cpu: "2", memory: "2Gi" }, { cpu: "3" })] },
    },
    expected: { cpu: 4000, memory: 2_097_152 },
  },
  {
    name: "what was allocated and is not in use yet is taken, also where less is asked by now",
    pod: {
      spec: { containers: [container({ cpu: "1" })] },
      status: { containerStatuses: [status("c", { cpu: "1" }, { cpu: "3" })] },
    },
    expected: { cpu: 3000 },
  },
  {
    name: "growth that the node can never grant takes nothing",
    pod: {
      spec: { containers: [container({ cpu: "64" })] },
      status: {
        conditions: [{ type: "PodResizePending", status: "True", reason: "Infeasible" }],
        containerStatuses: [status("c", { cpu: "2" }, { cpu: "2" })],
      },
    },
    expected: { cpu: 2000 },
  },
  {
    name: "growth that must wait is reserved",
    pod: {
      spec: { containers: [container({ cpu: "64" })] },
      status: {
        conditions: [{ type: "PodResizePending", status: "True", reason: "Deferred" }],
        containerStatuses: [status("c", { cpu: "2" }, { cpu: "2" })],
      },
    },
    expected: { cpu: 64_000 },
  },
  {
    name: "a status without resources says nothing",
    pod: {
      spec: { containers: [container({ cpu: "1" })] },
      status: { containerStatuses: [{ name: "c", allocatedResources: { cpu: "9" } }] },
    },
    expected: { cpu: 1000 },
  },
  {
    name: "sidecars can be resized, init containers cannot",
    pod: {
      spec: {
        containers: [container({ cpu: "1" })],
        initContainers: [sidecar({ cpu: "1" }), { name: "i", resources: { requests: { cpu: "1" } } }],
      },
      status: { initContainerStatuses: [status("s", { cpu: "3" }), status("i", { cpu: "50" })] },
    },
    expected: { cpu: 4000 },
  },
  {
    name: "a whole pod being shrunk still takes what it uses",
    pod: {
      spec: { resources: { requests: { cpu: "1", memory: "1Gi" } }, containers: [container({})] },
      status: { resources: { requests: { cpu: "2" } }, allocatedResources: { cpu: "1", memory: "1Gi" } },
    },
    expected: { cpu: 2000, memory: 1_048_576 },
  },
  {
    name: "requests round up",
    pod: { spec: { containers: [container({ cpu: "100u", memory: "1" })] } },
    expected: { cpu: 1, memory: 1 },
  },
];

describe("what a pod takes", () => {
  test("of a pod that shares its resources with another one are its own all the same (guards: the sums that are kept)", () => {
    const resources = { requests: { cpu: "1" } };
    const shared = { name: "c", resources };
    const pods: [object, number][] = [
      [{ spec: { containers: [shared] } }, 1000],
      [{ spec: { containers: [shared, shared] } }, 2000],
      [
        { spec: { containers: [shared], initContainers: [{ name: "c", resources: { requests: { cpu: "3" } } }] } },
        3000,
      ],
      [{ spec: { containers: [shared], initContainers: [{ ...shared, restartPolicy: "Always" }] } }, 2000],
      [{ spec: { containers: [shared], initContainers: [shared] } }, 1000],
      [{ spec: { containers: [shared], overhead: { cpu: "250m" } } }, 1250],
      [{ spec: { containers: [shared], resources: { requests: { cpu: "5" } } } }, 5000],
      [{ spec: { containers: [shared] }, status: { containerStatuses: [status("c", { cpu: "2" })] } }, 2000],
      [{ spec: { containers: [shared] }, status: { containerStatuses: [status("d", { cpu: "2" })] } }, 1000],
      [{ spec: { containers: [shared] }, status: { initContainerStatuses: [status("c", { cpu: "4" })] } }, 4000],
      [
        {
          spec: { containers: [shared] },
          status: {
            containerStatuses: [status("c", { cpu: "500m" })],
            conditions: [{ type: "PodResizePending", reason: "Infeasible" }],
          },
        },
        500,
      ],
    ];
    const two = { requests: { cpu: "2" } };
    const half = { requests: { cpu: "500m" } };
    const withStatuses = (containerStatuses: object[], conditions: object[] = []) => ({
      spec: { containers: [shared] },
      status: { containerStatuses, conditions },
    });
    pods.push(
      [withStatuses([{ name: "c", resources: two }]), 2000],
      [withStatuses([{ name: "d", resources: two }]), 1000],
      [withStatuses([{ name: "c", resources: two, allocatedResources: { cpu: "4" } }]), 4000],
      [withStatuses([{ name: "c", resources: half }]), 1000],
      [withStatuses([{ name: "c", resources: half }], [{ type: "PodResizePending", reason: "Infeasible" }]), 500],
      [
        withStatuses([
          { name: "d", resources: half },
          { name: "c", resources: two },
        ]),
        2000,
      ],
      [{ spec: { containers: [{ resources }] }, status: { containerStatuses: [{ name: "", resources: two }] } }, 2000],
      [{ spec: { containers: [{ resources }] } }, 1000],
    );
    const pairs = pods.flatMap((pod) => pods.flatMap((other) => [pod, other]));
    const order = [...pods, ...pods.toReversed(), ...pairs];
    for (const [pod, cpu] of order) expect(podRequests(pod).cpu).toBe(cpu);
    expect(podRequests({ spec: { containers: [{ ...shared }] } })).toBe(
      podRequests({ spec: { containers: [shared] } }),
    );
  });

  test.each(vectors)("$name", ({ pod, expected }) => expect(podRequests(pod)).toEqual({ ...expected, pods: 1 }));

  test("a malformed pod takes a place and throws nothing", () => {
    const malformed = [
      undefined,
      null,
      5,
      "pod",
      [],
      { spec: 5 },
      { spec: { containers: "c", initContainers: [null, 5], overhead: [] } },
      { spec: { containers: [null, { resources: 5 }, { resources: { requests: "x" } }] }, status: [] },
    ];
    for (const pod of malformed) expect(podRequests(pod)).toEqual({ pods: 1 });
  });

  test("a request that cannot be read counts as more than any node has", () => {
    expect(podRequests({ spec: { containers: [container({ cpu: "1e99" })] } }).cpu).toBeGreaterThan(1e12);
  });
});
