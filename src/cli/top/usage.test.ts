import { describe, expect, test } from "vitest";
import type { Framework } from "../../api/framework.ts";
import type { Offer } from "../../api/offer.ts";
import type { Queue } from "../../api/queue.ts";
import { frameworkRows, nodeRows, queueRows } from "./usage.ts";

test("a queue has a row for each resource that it holds, wants or is due", () => {
  const queues = [
    {
      metadata: { name: "q" },
      spec: { guarantee: { memory: "4Gi" }, limit: { cpu: "8" } },
      status: {
        allocated: { pods: "3", cpu: "2" },
        offered: { "a.example/x": "1" },
        held: { cpu: "3" },
        dominantShare: "0.125",
      },
    },
    { metadata: { name: "new" }, spec: {} },
  ] as unknown as Queue[];
  expect(queueRows(queues)).toEqual([
    ["QUEUE", "SHARE", "RESOURCE", "ALLOCATED", "OFFERED", "HELD", "DEMAND", "GUARANTEE", "LIMIT"],
    ["q", "12.5%", "cpu", "2", "0", "3", "0", "-", "8"],
    ["q", "12.5%", "memory", "0", "0", "0", "0", "4Gi", "-"],
    ["q", "12.5%", "a.example/x", "0", "1", "0", "0", "-", "-"],
    ["q", "12.5%", "pods", "3", "0", "0", "0", "-", "-"],
    ["new", "", "-", "-", "-", "-", "-", "-", "-"],
  ]);
});

test("a framework is shown with its first queue, and its namespace where several are meant", () => {
  const frameworks = [
    {
      metadata: { name: "f", namespace: "a" },
      spec: { queues: [{ name: "q" }, { name: "r" }] },
      status: { share: "1.0%", allocated: { cpu: "1" }, demand: { cpu: "4" } },
    },
  ] as unknown as Framework[];
  expect(frameworkRows(frameworks, false)[1]).toEqual(["f", "q", "1.0%", "cpu", "1", "0", "0", "4"]);
  expect(frameworkRows(frameworks, true)[1]).toEqual(["a", "f", "q", "1.0%", "cpu", "1", "0", "0", "4"]);
});

describe("a node", () => {
  const nodes = [
    {
      metadata: { name: "n" },
      status: {
        allocatable: { cpu: "4", memory: "8Gi", pods: "110", "hugepages-2Mi": "0", "ephemeral-storage": "1Ti" },
      },
    },
  ];
  const pod = (cpu: string, more: object = {}) => ({
    spec: { nodeName: "n", containers: [{ resources: { requests: { cpu, memory: "1Gi" } } }] },
    ...more,
  });
  const offer = (more: object = {}, concurrency = "Exclusive") =>
    ({
      spec: { concurrency, slices: [{ name: "s", node: "n", resources: { cpu: "1500m" } }] },
      status: { phase: "Open" },
      ...more,
    }) as unknown as Offer;

  test("has what pods request and open offers hold taken off", () => {
    const pods = [pod("1"), pod("500m"), pod("1", { status: { phase: "Succeeded" } }), { spec: {} }];
    const offers = [
      offer(),
      offer({ status: { phase: "Expired" } }),
      offer({ answer: { decision: "Decline" } }),
      offer({}, "Optimistic"),
    ];
    expect(nodeRows({ nodes, pods, offers }, { all: false })).toEqual([
      ["NODE", "RESOURCE", "ALLOCATABLE", "REQUESTED", "OFFERED", "FREE", "USED"],
      ["n", "cpu", "4", "1500m", "1500m", "1", "37.5%"],
      ["n", "memory", "8Gi", "2Gi", "0", "6Gi", "25.0%"],
    ]);
  });

  test("that is overbooked has less than nothing", () => {
    expect(nodeRows({ nodes, pods: [pod("5")], offers: [] }, { all: false })[1]).toContain("-1");
  });

  test("shows all that it has if asked to", () => {
    const names = nodeRows({ nodes, pods: [], offers: [] }, { all: true }).map(([, name]) => name);
    expect(names).toEqual(["RESOURCE", "cpu", "memory", "ephemeral-storage", "pods"]);
  });
});
