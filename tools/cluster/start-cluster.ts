/** Starting an embedded cluster: a control plane of real binaries in a temporary folder, under a supervisor. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageName } from "../image/images.ts";
import { ApiClient } from "./api-client.ts";
import { type BinaryName, ensureBinaries } from "./binaries.ts";
import { createAuthority } from "./certificates.ts";
import { ClientAccess } from "./client-access.ts";
import type { Cluster, ProcessName } from "./cluster.ts";
import * as plane from "./control-plane.ts";
import { EmbeddedCluster } from "./embedded-cluster.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { kwokConfig } from "./kwok-stages.ts";
import { freePorts } from "./ports.ts";
import { type Progress, progressOn } from "./progress.ts";
import { enterNetwork, networkParts } from "./real-node/network.ts";
import { ensureNodePrograms } from "./real-node/node-programs.ts";
import { RealNode } from "./real-node/real-node.ts";
import { whyNoRealNode } from "./real-node/requirements.ts";
import { Supervisor } from "./supervisor-client.ts";
import type { ProcessSpec } from "./supervisor-protocol.ts";
import { sweepStale } from "./sweep.ts";

export interface ClusterOptions {
  /** For people and kubeconfig contexts. Default `proffer`. */
  readonly name?: string;
  /** Runs kube-controller-manager; `controllers` as in its flag `--controllers`. Default false. */
  readonly controllerManager?:
    | boolean
    | { readonly controllers?: readonly string[]; readonly args?: readonly string[] };
  /** Runs kube-scheduler. Default false. */
  readonly scheduler?: boolean | { readonly qps?: number; readonly burst?: number; readonly args?: readonly string[] };
  /** Runs kwok, which plays the kubelets of fake nodes. Default false. */
  readonly kwok?: boolean;
  /**
   * Fake nodes renew leases and the node lifecycle controller looks at them, so that a node whose kwok is paused becomes
   * unreachable. Costs a write a node every ten seconds. Default false.
   */
  readonly nodeHeartbeats?: boolean;
  /**
   * A node with containerd and a kubelet, on which pods run as containers, with these images of ours; the whole cluster is
   * then in a network of its own, and the controller-manager (with heartbeats) and the scheduler run. Needs what
   * {@link whyNoRealNode} looks for.
   */
  readonly realNode?: { readonly images?: readonly ImageName[] };
  readonly apiserverArgs?: readonly string[];
  readonly etcdArgs?: readonly string[];
  /** Chooses the ports of a start; asked again when one was taken meanwhile. Default: any free ones. */
  readonly pickPorts?: (count: number) => Promise<number[]>;
  /** Where builds and starts are reported. Default standard error. */
  readonly progress?: Progress;
  /** How long each process may take until it is ready. Default 120 s: with both cores busy, 5 s become a minute. */
  readonly readyTimeoutMs?: number;
}

const START_ATTEMPTS = 5;

/**
 * Starts a cluster and returns when its API server is ready. Any number of them run side by side. Ends with
 * `stop()`, or with this process, however that ends. Throws with the last lines of the log of what failed.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  return startEmbedded(options);
}

/** The same, for the command line, which also wants to let go of it. */
export async function startEmbedded(wishes: ClusterOptions = {}): Promise<EmbeddedCluster> {
  const options = wishes.realNode === undefined ? wishes : withWholeControlPlane(wishes);
  const progress = options.progress ?? progressOn();
  const wanted: BinaryName[] = ["etcd", "kube-apiserver"];
  if (options.controllerManager) wanted.push("kube-controller-manager");
  if (options.scheduler) wanted.push("kube-scheduler");
  if (options.kwok) wanted.push("kwok");
  if (options.realNode) {
    const reason = whyNoRealNode();
    if (reason !== undefined) throw new Error(`no real node can run here: ${reason}`);
    wanted.push("kubelet", "kube-proxy");
  }
  const binaries = await ensureBinaries(wanted, progress);
  const programs = options.realNode && (await ensureNodePrograms(progress));
  await sweepStale();
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options, { binaries, programs });
    } catch (error) {
      // Another program took one of the ports between our look and the server's start.
      if (attempt === START_ATTEMPTS || !String(error).includes("address already in use")) throw error;
    }
  }
}

/** A real node needs its taints taken away and its Deployments scheduled. */
function withWholeControlPlane(wishes: ClusterOptions): ClusterOptions {
  const { controllerManager, scheduler } = wishes;
  return {
    ...wishes,
    nodeHeartbeats: true,
    controllerManager: controllerManager || true,
    scheduler: scheduler || true,
  };
}

/** What runs: binaries by name, and the folder of a real node's programs. */
interface Software {
  readonly binaries: Readonly<Record<string, string>>;
  readonly programs?: string | undefined;
}

async function startOnce(options: ClusterOptions, software: Software): Promise<EmbeddedCluster> {
  const supervisor = await Supervisor.start();
  try {
    return await bringUp(supervisor, options, software);
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

async function bringUp(
  supervisor: Supervisor,
  options: ClusterOptions,
  { binaries, programs }: Software,
): Promise<EmbeddedCluster> {
  const { dir } = supervisor;
  const name = options.name ?? "proffer";
  const [etcdClient = 0, etcdPeer = 0, apiserver = 0] = await (options.pickPorts ?? freePorts)(3);
  const ports = { etcdClient, etcdPeer, apiserver };
  const controlPlane = { dir, binaries, ports, ownNetwork: programs !== undefined };
  const authority = createAuthority("proffer-cluster", new Date());
  const ca = authority.certPem;
  const adminToken = randomBytes(24).toString("hex");
  plane.writeSecrets(dir, { adminToken, caPem: ca, authority });
  const url = `https://127.0.0.1:${apiserver}`;
  const kubeconfigPath = join(dir, "admin.kubeconfig");
  writeKubeconfig(kubeconfigPath, url, ca, name, { token: adminToken });
  const api = new ApiClient({ url, ca, token: adminToken });
  const access = new ClientAccess(api, { dir, url, ca });
  const cluster = new EmbeddedCluster({
    supervisor,
    name,
    url,
    ca,
    adminToken,
    kubeconfigPath,
    api,
    access,
    authority,
    options,
  });
  const enter = (spec: ProcessSpec) => enterNetwork(cluster.processes.pid("network"), spec);
  const start = (spec: ProcessSpec) => {
    return cluster.start({
      name: spec.name as ProcessName,
      spec: () => (controlPlane.ownNetwork ? enter(spec) : spec),
    });
  };
  try {
    if (controlPlane.ownNetwork) for (const part of networkParts(dir, apiserver, enter)) await cluster.start(part);
    await start(plane.etcd(controlPlane, options.etcdArgs ?? []));
    await start(
      plane.apiserver(controlPlane, {
        extra: options.apiserverArgs ?? [],
        serviceAccountAdmission: cluster.capabilities.controllerManager,
        notReadyTaint: Boolean(options.nodeHeartbeats && options.controllerManager),
      }),
    );
    await startControllers(cluster, start, controlPlane, options);
    if (programs !== undefined) {
      const node = new RealNode(cluster, { programs, binaries });
      await node.start(options.realNode?.images ?? [], options.progress ?? progressOn());
      cluster.realNode = node;
    }
    return cluster;
  } catch (error) {
    await api.close();
    throw error;
  }
}

/** The clients of the API server, each under the name that its RBAC rules and its priority level are for. */
async function startControllers(
  cluster: EmbeddedCluster,
  start: (spec: ProcessSpec) => Promise<void>,
  controlPlane: plane.ControlPlane,
  options: ClusterOptions,
): Promise<void> {
  const { controllerManager, scheduler, kwok, nodeHeartbeats } = options;
  if (controllerManager) {
    const { controllers, args = [] } = controllerManager === true ? {} : controllerManager;
    // Without heartbeats it would declare every fake node lost after 40 s.
    const usual = nodeHeartbeats ? ["*"] : ["*", "-node-lifecycle-controller"];
    const kubeconfig = await cluster.kubeconfigFor({ user: "system:kube-controller-manager" });
    await start(plane.controllerManager(controlPlane, { kubeconfig, controllers: controllers ?? usual, extra: args }));
  }
  if (scheduler) {
    const { qps = 5000, burst = 10_000, args = [] } = scheduler === true ? {} : scheduler;
    const kubeconfig = await cluster.kubeconfigFor({ user: "system:kube-scheduler" });
    await start(plane.scheduler(controlPlane, { kubeconfig, qps, burst, extra: args }));
  }
  if (kwok) {
    const config = join(controlPlane.dir, "kwok.yaml");
    writeFileSync(config, kwokConfig());
    const leaseSeconds = nodeHeartbeats ? 40 : 0;
    await start(plane.kwok(controlPlane, { kubeconfig: cluster.kubeconfigPath, config, leaseSeconds }));
  }
}
