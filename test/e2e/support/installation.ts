/** Proffer as its users have it: installed by helm on a cluster with a real node, and told what to do with kubectl. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import type { Json } from "../../../tools/cluster/api-client.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { ensureHelm, ensureKubectl } from "../../../tools/cluster/helm-kubectl.ts";
import { openCluster } from "../../../tools/cluster/open-cluster.ts";
import { RELEASE } from "../../../tools/operator/install-chart.ts";
import { eventually } from "./eventually.ts";
import { PodWatch } from "./pod-watch.ts";
import { object, Tenant } from "./tenant.ts";

const run = promisify(execFile);
const CHART = new URL("../../../charts/proffer", import.meta.url).pathname;
const TIMEOUT = "--timeout=180s";

/** What a Task is to be, where it is not small and in framework `fw`. */
export interface ScriptWishes {
  readonly requests?: Json;
  readonly limits?: Json;
  readonly image?: string;
  /** More of the Task's spec. */
  readonly spec?: Json;
  /** More of the template's pod spec. */
  readonly pod?: Json;
}

export class Installation {
  readonly cluster: Cluster;
  readonly watch: PodWatch;
  readonly #helm: string;
  readonly #kubectl: string;

  private constructor(cluster: Cluster, watch: PodWatch, helm: string, kubectl: string) {
    this.cluster = cluster;
    this.watch = watch;
    this.#helm = helm;
    this.#kubectl = kubectl;
  }

  /** A cluster whose node has the images, and nothing installed yet. */
  static async open(): Promise<Installation> {
    const [helm, kubectl] = [await ensureHelm(), await ensureKubectl()];
    const cluster = await openCluster({ realNode: { images: ["workload", "operator"] } });
    try {
      return new Installation(cluster, await PodWatch.start(cluster), helm, kubectl);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.watch.stop();
    await this.cluster.stop();
  }

  /** `helm COMMAND proffer …` in the release's namespace; returns what it prints, throws with what it complains about. */
  async helm(command: string, ...args: readonly string[]): Promise<string> {
    const place = ["--namespace", RELEASE.namespace, "--kubeconfig", this.cluster.kubeconfigPath];
    const { stdout } = await run(this.#helm, [command, RELEASE.name, TIMEOUT, ...args, ...place]);
    return stdout;
  }

  install(...args: readonly string[]): Promise<string> {
    return this.helm("install", CHART, "--create-namespace", "--wait", ...args);
  }

  upgrade(...args: readonly string[]): Promise<string> {
    return this.helm("upgrade", CHART, "--wait", ...args);
  }

  /** Returns what kubectl prints, throws with what it complains about. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(this.#kubectl, ["--kubeconfig", this.cluster.kubeconfigPath, ...args]);
    return stdout;
  }

  /** `kubectl logs --follow`: what it has printed so far, and all of it at its end. */
  follow(namespace: string, pod: string): { readonly sofar: () => string; readonly all: Promise<string> } {
    const args = ["--kubeconfig", this.cluster.kubeconfigPath, "--namespace", namespace, "logs", "--follow", pod];
    const child = spawn(this.#kubectl, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (data) => {
      text += data;
    });
    return { sofar: () => text, all: once(child, "close").then(() => text) };
  }

  /** `kubectl apply` in a namespace. */
  async apply(namespace: string, ...objects: readonly Json[]): Promise<void> {
    const args = ["--kubeconfig", this.cluster.kubeconfigPath, "--namespace", namespace, "apply", "-f", "-"];
    const child = spawn(this.#kubectl, args, { stdio: ["pipe", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (data) => {
      complaint += data;
    });
    child.stdin.end(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`kubectl apply: ${complaint}`);
  }

  /** A namespace with a Builtin framework `fw`. */
  async tenant(namespace: string): Promise<Tenant> {
    await this.kubectl("create", "namespace", namespace);
    await this.apply(namespace, object("Framework", "fw", { queues: [{ name: "default" }] }));
    return new Tenant(this.cluster, this.watch, namespace);
  }

  /** Pods of the operator that are not on their way out. */
  async operators(): Promise<Json[]> {
    const selector = "app.kubernetes.io/name=proffer,app.kubernetes.io/component=operator";
    const path = `/api/v1/namespaces/${RELEASE.namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    const { items } = await this.cluster.api.get(path);
    return items.filter(({ metadata }: Json) => metadata.deletionTimestamp === undefined);
  }

  /** Waits until so many pods of the operator are Ready, and no others are there. */
  operatorsReady(count = 2): Promise<Json[]> {
    return eventually(
      `${count} pods of the operator to be ready`,
      () => this.operators(),
      (pods) => pods.length === count && pods.every(isReady),
    );
  }
}

/** A Task that runs this shell script. */
export function script(name: string, text: string, wishes: ScriptWishes = {}): Json {
  const { requests, limits, image = "workload:local", spec, pod } = wishes;
  const main = {
    name: "main",
    image,
    command: ["sh", "-c", text],
    securityContext: { runAsUser: 65534 },
    resources: { requests: { cpu: "10m", memory: "16Mi", ...requests }, ...(limits && { limits }) },
  };
  return object("Task", name, { framework: "fw", template: { spec: { containers: [main], ...pod } }, ...spec });
}

/** A pod that is none of Proffer's. */
export function shellPod(name: string, namespace: string, text: string, requests: Json): Json {
  const main = { name: "main", image: "workload:local", command: ["sh", "-c", text], resources: { requests } };
  const spec = { containers: [main], terminationGracePeriodSeconds: 1 };
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace }, spec };
}

const isReady = ({ status }: Json): boolean =>
  status.conditions?.some(({ type, status }: Json) => type === "Ready" && status === "True") ?? false;
