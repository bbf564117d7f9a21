import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ApiClient, type Json } from "../../tools/cluster/api-client.ts";
import type { Cluster, ProcessName } from "../../tools/cluster/cluster.ts";
import { parseShape, repeatShapes } from "../../tools/cluster/node-shapes.ts";
import { openCluster } from "../../tools/cluster/open-cluster.ts";
import { freePorts } from "../../tools/cluster/ports.ts";
import { isAlive, isStopped, type ProcessIdentity } from "../../tools/cluster/process-info.ts";
import { silent } from "../../tools/cluster/progress.ts";
import { startCluster } from "../../tools/cluster/start-cluster.ts";
import { sweepStale } from "../../tools/cluster/sweep.ts";
import { waitFor } from "../../tools/cluster/wait.ts";
import { needsEmbedded } from "./support/embedded.ts";

const PODS = "/api/v1/namespaces/default/pods";
const FINALIZER = "proffer.dev/tracking";
const source = new URL("../../tools/cluster/start-cluster.ts", import.meta.url);

let first: Cluster;
let second: Cluster;

const isEmbedded = needsEmbedded();
beforeAll(async () => {
  if (!isEmbedded) return;
  [first, second] = await Promise.all([startCluster({ name: "first", kwok: true }), startCluster({ name: "second" })]);
  await first.addNodes(repeatShapes([parseShape("cpu=32,memory=128Gi,gpu=8,model=A100")], 3));
});
afterAll(() => Promise.all([first?.stop(), second?.stop()]));

interface PodOptions {
  readonly fake?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
}

/** Creates a pod that is bound already; `fake` are its `fake-kubelet/…` annotations. */
async function createPod(name: string, { fake = {}, finalizers = [] }: PodOptions = {}): Promise<string> {
  const annotations = Object.fromEntries(Object.entries(fake).map(([key, value]) => [`fake-kubelet/${key}`, value]));
  await first.api.create(PODS, {
    metadata: { name, annotations, finalizers },
    spec: { nodeName: "node-0000", restartPolicy: "Never", containers: [{ name: "main", image: "example.com/task" }] },
  });
  return `${PODS}/${name}`;
}

const phase = (path: string, wanted: string): Promise<Json> =>
  waitFor(`${path} to be ${wanted}`, async () => {
    const pod = await first.api.get(path);
    return pod.status.phase === wanted && pod;
  });

const terminated = (pod: Json): Json => pod.status.containerStatuses[0].state.terminated;

describe("two clusters side by side", () => {
  test("know nothing of each other", async () => {
    await first.api.create("/api/v1/namespaces", { metadata: { name: "only-here" } });
    expect(await second.api.find("/api/v1/namespaces/only-here")).toBeUndefined();
    expect((await first.api.get("/api/v1/nodes")).items).toHaveLength(3);
    expect((await second.api.get("/api/v1/nodes")).items).toHaveLength(0);
    const stranger = new ApiClient({ url: second.url, ca: second.ca, token: first.adminToken });
    await expect(stranger.get("/api/v1/namespaces")).rejects.toMatchObject({ status: 401 });
    await stranger.close();
  });

  test("can be measured", () => {
    expect(first.processes.running()).toEqual(["etcd", "kube-apiserver", "kwok"]);
    expect(first.cpuSeconds("kube-apiserver")).toBeGreaterThan(0.5);
    expect(first.rssBytes("etcd")).toBeGreaterThan(1e7);
  });
});

describe("who may do what", () => {
  test("a ServiceAccount's token has its rights and no others", async () => {
    await first.api.create("/api/v1/namespaces/only-here/serviceaccounts", { metadata: { name: "operator" } });
    const token = await first.requestToken("only-here", "operator");
    const api = new ApiClient({ url: first.url, ca: first.ca, token });
    await expect(api.get("/api/v1/nodes")).rejects.toMatchObject({ status: 403, reason: "Forbidden" });
    await first.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: "operator-views" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:node" },
      subjects: [{ kind: "ServiceAccount", name: "operator", namespace: "only-here" }],
    });
    await waitFor("the binding to work", async () => (await api.get("/api/v1/nodes")).items.length === 3);
    await api.close();
  });

  test("a kubeconfig for a user carries a certificate with the groups", async () => {
    const path = await first.kubeconfigFor({ user: "alice", groups: ["system:masters"] });
    const [{ user }] = JSON.parse(readFileSync(path, "utf8")).users;
    const text = (data: string) => Buffer.from(data, "base64").toString();
    const [cert, key] = [text(user["client-certificate-data"]), text(user["client-key-data"])];
    const api = new ApiClient({ url: first.url, ca: first.ca, cert, key });
    const review = await api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
    expect(review.status.userInfo).toMatchObject({
      username: "alice",
      groups: expect.arrayContaining(["system:masters"]),
    });
    await api.close();
  });
});

describe("pods on fake nodes", () => {
  test("run for their time and succeed", async () => {
    const path = await createPod("succeeds", { fake: { duration: "300ms" } });
    const end = terminated(await phase(path, "Succeeded"));
    expect(end).toMatchObject({ exitCode: 0, reason: "Completed" });
    expect(Date.parse(end.finishedAt)).toBeGreaterThanOrEqual(Date.parse(end.startedAt));
  });

  test("a change of the pod does not make it run longer", async () => {
    const path = await createPod("changed", { fake: { duration: "1500ms" } });
    await phase(path, "Running");
    let ended = false;
    const changes = (async () => {
      // Were the delay counted from the last change, this pod would never end.
      for (let i = 0; !ended; i++) await first.api.patch(path, { metadata: { labels: { change: String(i) } } });
    })();
    await phase(path, "Succeeded");
    ended = true;
    await changes;
  });

  test.each([
    { name: "exits", fake: { duration: "100ms", "exit-code": "7" }, end: { exitCode: 7, reason: "Error" } },
    { name: "killed", fake: { kill: "OOMKilled" }, end: { exitCode: 137, reason: "OOMKilled" } },
  ])("fail as told: $name", async ({ name, fake, end }) => {
    expect(terminated(await phase(await createPod(name, { fake }), "Failed"))).toMatchObject(end);
  });

  test("are turned away by a full node", async () => {
    const pod = await phase(await createPod("rejected", { fake: { reject: "OutOfcpu" } }), "Failed");
    expect(pod.status).toMatchObject({ reason: "OutOfcpu" });
    expect(pod.status.containerStatuses).toBeUndefined();
  });

  test("are gone soon after they were deleted", async () => {
    const path = await createPod("deleted");
    await phase(path, "Running");
    await first.api.delete(path);
    await waitFor("the pod to be gone", async () => (await first.api.find(path)) === undefined);
  });

  test("with a finalizer end, and stay until it is removed", async () => {
    const path = await createPod("tracked", { finalizers: [FINALIZER] });
    await phase(path, "Running");
    await first.api.delete(path);
    const settled = await waitFor("the kubelet to let go", async () => {
      const pod = await first.api.get(path);
      return pod.metadata.deletionGracePeriodSeconds === 0 && pod;
    });
    expect(settled.status.phase).toBe("Failed");
    expect(settled.metadata.finalizers).toEqual([FINALIZER]);
    expect(terminated(settled)).toMatchObject({ exitCode: 143, reason: "Error" });
    // A pod that came and went after it shows that kwok had the time to do more.
    const later = await createPod("later");
    await phase(later, "Running");
    await first.api.delete(later);
    await waitFor("the later pod to be gone", async () => (await first.api.find(later)) === undefined);
    expect((await first.api.get(path)).metadata.resourceVersion).toBe(settled.metadata.resourceVersion);
    await first.api.patch(path, { metadata: { finalizers: null } });
    await waitFor("the pod to be gone", async () => (await first.api.find(path)) === undefined);
  });

  test("may use up their grace", async () => {
    const path = await createPod("stubborn", { fake: { stop: "grace" }, finalizers: [FINALIZER] });
    await phase(path, "Running");
    const { deletionTimestamp } = (await first.api.delete(path, { gracePeriodSeconds: 2 })).metadata;
    const end = terminated(await phase(path, "Failed"));
    expect(end.exitCode).toBe(137);
    expect(Date.parse(end.finishedAt)).toBeGreaterThanOrEqual(Date.parse(deletionTimestamp));
    await first.api.patch(path, { metadata: { finalizers: null } });
  });

  test("go on when kwok comes back", async () => {
    const before = await createPod("before", { fake: { duration: "100ms" } });
    const running = await createPod("outlives", { fake: {} });
    await phase(running, "Running");
    await phase(before, "Succeeded");
    await first.processes.kill("kwok");
    const meanwhile = await createPod("meanwhile", { fake: { duration: "100ms" } });
    await first.api.delete(running);
    await first.processes.restart("kwok");
    await phase(meanwhile, "Succeeded");
    await waitFor("the deleted pod to be gone", async () => (await first.api.find(running)) === undefined);
  });

  test("a node may stop being Ready, and recover", async () => {
    const path = "/api/v1/nodes/node-0002";
    const become = async (annotation: string | null, status: string) => {
      await first.api.patch(path, { metadata: { annotations: { "fake-kubelet/not-ready": annotation } } });
      await waitFor(`Ready to be ${status}`, async () => {
        const { conditions } = (await first.api.get(path)).status;
        return conditions.find(({ type }: Json) => type === "Ready").status === status;
      });
    };
    await become("true", "False");
    await become(null, "True");
  });
});

describe("an API server", () => {
  test("killed and restarted keeps its data and its port", async () => {
    await second.api.create("/api/v1/namespaces", { metadata: { name: "kept" } });
    await second.processes.kill("kube-apiserver");
    expect(second.processes.running()).toEqual(["etcd"]);
    await expect(second.api.get("/api/v1/namespaces/kept")).rejects.toThrow("ECONNREFUSED");
    await second.processes.restart("kube-apiserver");
    expect((await second.api.get("/api/v1/namespaces/kept")).metadata.name).toBe("kept");
  });

  test("paused answers when it is resumed", async () => {
    await second.processes.pause("kube-apiserver");
    const answer = second.api.get("/api/v1/namespaces/kept");
    expect(isStopped(second.processes.pid("kube-apiserver"))).toBe(true);
    second.processes.resume("kube-apiserver");
    expect((await answer).metadata.name).toBe("kept");
  });

  test("that cannot start says why", async () => {
    const start = startCluster({ apiserverArgs: ["--no-such-flag"], progress: silent });
    await expect(start).rejects.toThrow(/kube-apiserver ended[\s\S]*unknown flag: --no-such-flag/);
  });

  test("gets other ports when another program has taken one", async () => {
    const thief = createServer().listen(0, "127.0.0.1");
    await once(thief, "listening");
    const { port } = thief.address() as { readonly port: number };
    let starts = 0;
    const pickPorts = async (count: number) => {
      const [, ...others] = await freePorts(count);
      // The API server's port is the last one.
      return starts++ === 0 ? [...others, port] : freePorts(count);
    };
    const cluster = await startCluster({ pickPorts, progress: silent });
    expect(starts).toBe(2);
    thief.close();
    await cluster.stop();
  });
});

describe("the user's own cluster", () => {
  test("is what the kubeconfig points to; what we made there goes, the cluster stays", async () => {
    vi.stubEnv("CLUSTER", "kubeconfig");
    vi.stubEnv("KUBECONFIG", second.kubeconfigPath);
    const cluster = await openCluster();
    expect(cluster.url).toBe(second.url);
    expect(cluster.capabilities.processes).toBe(false);
    await expect(cluster.processes.kill("kube-apiserver")).rejects.toThrow("not possible with CLUSTER=kubeconfig");
    expect(await cluster.addNodes([parseShape("cpu=1,memory=1Gi")])).toEqual(["node-0000"]);
    expect((await second.api.get("/api/v1/nodes")).items).toHaveLength(1);
    await cluster.stop();
    expect((await second.api.get("/api/v1/nodes")).items).toHaveLength(0);
    expect(existsSync(cluster.dir)).toBe(false);
    vi.unstubAllEnvs();
  });

  test("is asked for by a name that exists", async () => {
    vi.stubEnv("CLUSTER", "kidn");
    await expect(openCluster()).rejects.toThrow('CLUSTER is "kidn"');
    vi.unstubAllEnvs();
  });
});

describe("nothing is left behind", () => {
  interface Started {
    readonly program: ChildProcess;
    readonly dir: string;
    readonly supervisor: ProcessIdentity;
    readonly children: readonly ProcessIdentity[];
  }

  /** A program that starts a cluster and then waits for ever. */
  async function startElsewhere(): Promise<Started> {
    const script = `
      const { startCluster } = await import(${JSON.stringify(source.href)});
      const cluster = await startCluster({ kwok: true });
      console.log(cluster.dir);
      setInterval(() => {}, 1e6);
    `;
    const program = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: program.stdout });
    const [dir] = (await once(lines, "line")) as [string];
    const { supervisor, children } = JSON.parse(readFileSync(join(dir, "supervisor.json"), "utf8"));
    expect(children.map(({ name }: { readonly name: ProcessName }) => name)).toEqual([
      "etcd",
      "kube-apiserver",
      "kwok",
    ]);
    for (const process of [supervisor, ...children]) expect(isAlive(process)).toBe(true);
    return { program, dir, supervisor, children };
  }

  const processesGone = ({ supervisor, children }: Started) =>
    waitFor("the processes to end", () => [supervisor, ...children].every((process) => !isAlive(process)));

  test("when the program is killed", async () => {
    const started = await startElsewhere();
    started.program.kill("SIGKILL");
    await processesGone(started);
    expect(existsSync(started.dir)).toBe(false);
  });

  test("when the supervisor and the program are killed together", async () => {
    const started = await startElsewhere();
    process.kill(started.supervisor.pid, "SIGKILL");
    started.program.kill("SIGKILL");
    await processesGone(started);
    await sweepStale();
    expect(existsSync(started.dir)).toBe(false);
  });

  test("when it is stopped, even twice", async () => {
    const cluster = await startCluster();
    const pids = cluster.processes.running().map((name) => ({ pid: cluster.processes.pid(name) }));
    await Promise.all([cluster.stop(), cluster.stop()]);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(cluster.dir)).toBe(false);
  });
});
