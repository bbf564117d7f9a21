/** The real node of the test cluster itself, without Proffer. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { identify, isAlive, type ProcessIdentity } from "../../tools/cluster/process-info.ts";
import { cgroupMounts } from "../../tools/cluster/real-node/cgroups.ts";
import type { SupervisorRecord } from "../../tools/cluster/supervisor-protocol.ts";
import { sweepStale } from "../../tools/cluster/sweep.ts";
import { eventually } from "./support/eventually.ts";
import { onRealNode } from "./support/real-node.ts";

const PODS = "/api/v1/namespaces/default/pods";

onRealNode("a real node", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await openCluster({ realNode: { images: ["workload"] } });
  });
  afterAll(() => cluster?.stop());

  const create = async (name: string, script: string): Promise<string> => {
    const main = { name: "main", image: "workload:local", command: ["sh", "-c", script] };
    const spec = { nodeName: cluster.realNode.name, restartPolicy: "Never", containers: [main] };
    await cluster.api.create(PODS, { metadata: { name }, spec });
    return `${PODS}/${name}`;
  };
  const phase = (path: string, wanted: string) =>
    eventually<Json>(
      `${path}: ${wanted}`,
      () => cluster.api.get(path),
      ({ status }) => status.phase === wanted,
    );

  test("runs a program to its end, and keeps what it said", async () => {
    const path = await create("talks", "echo from the pod; echo to $KUBERNETES_SERVICE_HOST");
    const pod = await phase(path, "Succeeded");
    expect(pod.status.containerStatuses[0].state.terminated.exitCode).toBe(0);
    expect(await cluster.api.get(`${path}/log`)).toBe("from the pod\nto 10.96.0.1\n");
  });

  test("tells how a program failed", async () => {
    const pod = await phase(await create("fails", "exit 7"), "Failed");
    expect(pod.status.containerStatuses[0].state.terminated).toMatchObject({ exitCode: 7, reason: "Error" });
  });

  test("lets pods reach the API server by its service, and nothing outside", async () => {
    const path = await create(
      "calls",
      "nc -w 5 $KUBERNETES_SERVICE_HOST 443 < /dev/null && ! nc -w 5 192.0.2.1 80 < /dev/null",
    );
    await phase(path, "Succeeded");
  });

  test("ends at once with all its pods when its power is cut, and starts again", async () => {
    const path = await create("lives", "sleep 100000");
    const before = (await phase(path, "Running")).status.containerStatuses[0];
    await cluster.realNode.cutPower();
    await cluster.realNode.boot();
    await eventually<Json>(
      "the program to have ended with the node",
      () => cluster.api.get(path),
      ({ status }) => status.containerStatuses[0].state.running === undefined,
    );
    expect((await cluster.api.get(path)).status.containerStatuses[0].containerID).toBe(before.containerID);
    await phase(await create("after", "exit 0"), "Succeeded");
  });

  test("leaves nothing when its cluster is killed: no process, no control group, no folder", async () => {
    await phase(await create("stays", "sleep 100000"), "Running");
    const { dir } = cluster;
    const record: SupervisorRecord = JSON.parse(readFileSync(join(dir, "supervisor.json"), "utf8"));
    const cgroups = cgroupMounts().map(({ place }) => join(place, basename(dir)));
    const members = cgroups.flatMap((path) => processesIn(path));
    expect(members.length).toBeGreaterThan(0);
    process.kill(record.supervisor.pid, "SIGKILL");
    await eventually(
      "all processes to have ended",
      () => [...record.children.filter(isAlive), ...members.filter(isAlive)],
      (left) => left.length === 0,
    );
    await sweepStale();
    expect([dir, ...cgroups].filter(existsSync)).toEqual([]);
  });
});

/** Of a control group and those below it. The kubelet may remove one of a pod that has ended while this reads. */
function processesIn(cgroup: string): ProcessIdentity[] {
  const below = ifThere(() => readdirSync(cgroup, { withFileTypes: true })) ?? [];
  const own = ifThere(() => readFileSync(join(cgroup, "cgroup.procs"), "utf8")) ?? "";
  return [
    ...own
      .split("\n")
      .filter((line) => line !== "")
      .map((pid) => identify(Number(pid))),
    ...below.filter((entry) => entry.isDirectory()).flatMap(({ name }) => processesIn(join(cgroup, name))),
  ];
}

/** ENODEV is what reading an open file of a removed group says. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
