import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE_FILE, POD_FILE, parseMachines, parsePods, readTrace } from "./trace.ts";

const NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,2,P100\nn1,96000,786432,0,\n";
const COLUMNS =
  "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time";
const PODS = `${COLUMNS}
p0,6000,12288,1,460,,LS,Running,100,700,160
p1,12000,16384,8,1000,V100M16|V100M32,BE,Failed,100,700,\r
p2,500,64,0,0,,BE,Failed,700,100,700
`;

test("nodes are machines with their GPUs in thousandths", () => {
  expect(parseMachines(NODES)).toEqual([
    { name: "n0", cpuMilli: 64_000, memoryMib: 262_144, gpuMilli: 2_000, model: "P100" },
    { name: "n1", cpuMilli: 96_000, memoryMib: 786_432, gpuMilli: 0 },
  ]);
});

test("pods have their part of each of their GPUs, and the time from their start to their end", () => {
  expect(parsePods(PODS)).toEqual([
    { cpuMilli: 6_000, memoryMib: 12_288, gpuMilli: 460, seconds: 540 },
    { cpuMilli: 12_000, memoryMib: 16_384, gpuMilli: 8_000, seconds: 600 },
    { cpuMilli: 500, memoryMib: 64, gpuMilli: 0, seconds: 0 },
  ]);
});

describe("a trace that cannot be read", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "trace-"));
    writeFileSync(join(dir, NODE_FILE), NODES);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test.each([
    {
      name: "there is no folder",
      read: () => readTrace(join(dir, "none")),
      says: /TRACE=.*none: there is no such folder/,
    },
    { name: "it is a file", read: () => readTrace(join(dir, NODE_FILE)), says: "not a folder" },
    { name: "a file is missing", read: () => readTrace(dir), says: `${POD_FILE} is missing` },
    { name: "a column is missing", read: () => parseMachines("sn,gpu\n"), says: "column cpu_milli, memory_mib, model" },
    { name: "there is nothing in it", read: () => parsePods(`${COLUMNS}\n\n`), says: "nothing in it" },
    {
      name: "a number is none",
      read: () => parseMachines(NODES.replace("262144", "lots")),
      says: `${NODE_FILE}, line 2: memory_mib is "lots"`,
    },
  ])("says that $name", ({ read, says }) => expect(read).toThrow(says));
});
