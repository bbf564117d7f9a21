/** What each file of these tests runs on: one cluster with the chart, one operator, and tenants. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeEach, type TestContext } from "vitest";
import type { Json } from "../../../tools/cluster/api-client.ts";
import type { Capabilities, Cluster } from "../../../tools/cluster/cluster.ts";
import { ensureKubectl } from "../../../tools/cluster/helm-kubectl.ts";
import { openCluster } from "../../../tools/cluster/open-cluster.ts";
import type { ClusterOptions } from "../../../tools/cluster/start-cluster.ts";
import { waitFor } from "../../../tools/cluster/wait.ts";
import { installChart } from "../../../tools/operator/install-chart.ts";
import { type OperatorProcess, startOperator } from "../../../tools/operator/start-operator.ts";
import { eventually } from "./eventually.ts";
import { PodWatch } from "./pod-watch.ts";
import { object, QUEUES, Tenant } from "./tenant.ts";

const run = promisify(execFile);

export interface SiteOptions {
  readonly cluster?: ClusterOptions;
  /** Of kube-controller-manager; by default it does not run. */
  readonly controllers?: readonly string[];
  /** Of the chart, as `helm --set` takes them. */
  readonly values?: Readonly<Record<string, string>>;
  /** Added to the operator's command line. */
  readonly args?: readonly string[];
  /** False: the tests start the operator themselves. */
  readonly operator?: boolean;
}

/** Nodes of a test are offered at once; only DaemonSets would need the time. */
const ARGS = ["--node-settle-seconds", "0"];

export class Site {
  readonly cluster: Cluster;
  readonly pods: PodWatch;
  readonly #kubectl: string;
  readonly #args: readonly string[];
  readonly #operators: OperatorProcess[] = [];
  readonly #namespaces: string[] = [];
  readonly #queues: string[] = [];

  private constructor(cluster: Cluster, pods: PodWatch, kubectl: string, args: readonly string[]) {
    this.cluster = cluster;
    this.pods = pods;
    this.#kubectl = kubectl;
    this.#args = args;
  }

  static async open(options: SiteOptions = {}): Promise<Site> {
    const { controllers, values, args = [], operator = true } = options;
    const kubectl = await ensureKubectl();
    const cluster = await openCluster({
      kwok: true,
      ...(controllers && { controllerManager: { controllers } }),
      ...options.cluster,
    });
    try {
      await installChart(cluster, values);
      // Its garbage collector would take half a minute to notice the new kinds.
      if (cluster.capabilities.processes && controllers) await cluster.processes.restart("kube-controller-manager");
      const site = new Site(cluster, await PodWatch.start(cluster), kubectl, [...ARGS, ...args]);
      if (operator) await site.startOperator();
      return site;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The operator that was started last. */
  get operator(): OperatorProcess {
    return this.#operators.at(-1)!;
  }

  /** Starts (another) operator, and waits until it leads or stands by. */
  async startOperator(...args: readonly string[]): Promise<OperatorProcess> {
    const operator = await startOperator(this.cluster, { args: [...this.#args, ...args] });
    this.#operators.push(operator);
    await waitFor("the operator is ready", async () => (await fetch(`${operator.url}/readyz`)).ok);
    return operator;
  }

  /** A namespace with `count` nodes of its own. */
  async tenant(namespace: string, shape?: string, count = 1): Promise<Tenant> {
    await this.namespace(namespace);
    const tenant = new Tenant(this.cluster, this.pods, namespace);
    if (shape !== undefined) await tenant.nodes(shape, count);
    return tenant;
  }

  async namespace(name: string): Promise<void> {
    await this.cluster.api.create("/api/v1/namespaces", { metadata: { name } });
    this.#namespaces.push(name);
    if (!this.cluster.capabilities.controllerManager) return;
    const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
    await waitFor(`the default account of ${name}`, async () => (await this.cluster.api.find(path)) !== undefined);
  }

  async queue(name: string, spec: Json = {}): Promise<Json> {
    const made = await this.cluster.api.create(QUEUES, object("Queue", name, { namespaces: ["*"], ...spec }));
    this.#queues.push(name);
    return made;
  }

  /** As the administrator, or with another kubeconfig; returns what kubectl prints. Throws with what it complains about. */
  async kubectl(args: readonly string[], kubeconfig = this.cluster.kubeconfigPath): Promise<string> {
    const { stdout } = await run(this.#kubectl, ["--kubeconfig", kubeconfig, ...args]);
    return stdout;
  }

  /** A line as somebody would type it in the checkout, with `kubectl`. */
  async shell(line: string): Promise<string> {
    const env = { ...process.env, KUBECONFIG: this.cluster.kubeconfigPath };
    const kubectl = `kubectl() { ${this.#kubectl} "$@"; }`;
    const { stdout } = await run("bash", ["-c", `${kubectl}; ${line}`], { env, timeout: 60_000 });
    return stdout;
  }

  async close(): Promise<void> {
    if (!this.cluster.capabilities.processes) await this.#cleanUp();
    await Promise.all(this.#operators.map((operator) => operator.stop()));
    this.pods.stop();
    await this.cluster.stop();
  }

  /** A user's own cluster outlives the tests: the operator lets go of the pods before it ends. */
  async #cleanUp(): Promise<void> {
    const { api } = this.cluster;
    // Queues go when nobody uses them any more.
    for (const paths of [
      this.#namespaces.map((name) => `/api/v1/namespaces/${name}`),
      this.#queues.map((name) => `${QUEUES}/${name}`).reverse(),
    ]) {
      for (const path of paths)
        await eventually(
          `${path} is gone`,
          async () => (await api.find(path)) && api.delete(path).catch((error: Error) => error),
          (left) => left === undefined,
        );
    }
  }
}

/** Skips the tests of a file (or a `describe`) on clusters that cannot do what they need. */
export function needs(cluster: () => Cluster, ...capabilities: readonly (keyof Capabilities)[]): void {
  beforeEach((test) => {
    const missing = capabilities.find((capability) => !cluster().capabilities[capability]);
    if (missing !== undefined) skipFor(test, `the cluster has no ${missing}`);
  });
}

/** Skips the test that runs now; the run's last lines say why. */
export function skipFor({ skip, task }: TestContext, reason: string): void {
  Object.assign(task.meta, { skipped: reason });
  skip(reason);
}
