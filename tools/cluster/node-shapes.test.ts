import { expect, test } from "vitest";
import { parseNodesCsv, parseShape, repeatShapes } from "./node-shapes.ts";
import { nodeObject } from "./nodes.ts";

test("a GPU is counted as a device and in thousandths", () => {
  expect(parseShape("cpu=32,memory=128Gi,gpu=8,model=A100")).toEqual({
    gpuModel: "A100",
    resources: { cpu: "32", memory: "128Gi", pods: "110", "nvidia.com/gpu": "8", "proffer.dev/gpu-milli": "8000" },
  });
});

test("any resource may be named, and pods changed", () => {
  expect(parseShape("cpu=500m, memory=1G, pods=20, example.com/fpga=2")).toEqual({
    resources: { cpu: "500m", memory: "1G", pods: "20", "example.com/fpga": "2" },
  });
});

test.each([
  { text: "cpu=32", error: "memory is missing" },
  { text: "cpu=32,memory", error: '"memory" is not KEY=VALUE' },
  { text: "cpu=lots,memory=1Gi", error: '"lots" is no quantity' },
  { text: "cpu=1,memory=1Gi,gpu=0.5", error: "gpu is a whole number" },
  { text: "cpu=1,memory=1Gi,a/b/c=1", error: '"a/b/c" is no resource name' },
])("the shape $text is refused", ({ text, error }) => expect(() => parseShape(text)).toThrow(error));

test("a table of nodes is read by its columns' names", () => {
  const table = "model,sn,cpu_milli,memory_mib,gpu\r\nP100,n-0,64000,262144,2\r\n,n-1,96000,1024,0\r\n";
  expect(parseNodesCsv(table)).toEqual([
    {
      name: "n-0",
      gpuModel: "P100",
      resources: {
        cpu: "64000m",
        memory: "262144Mi",
        pods: "110",
        "nvidia.com/gpu": "2",
        "proffer.dev/gpu-milli": "2000",
      },
    },
    { name: "n-1", resources: { cpu: "96000m", memory: "1024Mi", pods: "110" } },
  ]);
});

test.each([
  { table: "name,cpu\nx,1", error: "the first line must name the columns" },
  { table: "sn,cpu_milli,memory_mib,gpu,model\nn-0,many,1,0,", error: 'line 2: "many" is no whole number' },
  { table: "sn,cpu_milli,memory_mib,gpu,model\n,1,1,0,", error: "line 2: no sn" },
])("a broken table is refused: $error", ({ table, error }) => expect(() => parseNodesCsv(table)).toThrow(error));

test("shapes take turns", () => {
  const [a, b] = [parseShape("cpu=1,memory=1Gi"), parseShape("cpu=2,memory=1Gi")];
  expect(repeatShapes([a, b], 3)).toEqual([a, b, a]);
});

test("a node is Ready from the start and has its zone by its number", () => {
  const shape = parseShape("cpu=1,memory=1Gi,gpu=1,model=T4");
  const node = nodeObject(shape, 4, { labels: { rack: "r1" } }, new Date("2026-01-02T03:04:05.678Z"));
  expect(node.metadata.name).toBe("node-0004");
  expect(node.metadata.labels).toMatchObject({
    "kubernetes.io/hostname": "node-0004",
    "topology.kubernetes.io/zone": "zone-b",
    "proffer.dev/gpu-model": "T4",
    rack: "r1",
  });
  expect(node.status.allocatable).toEqual(node.status.capacity);
  expect(node.status.conditions[0]).toMatchObject({
    type: "Ready",
    status: "True",
    lastTransitionTime: "2026-01-02T03:04:05Z",
  });
});
