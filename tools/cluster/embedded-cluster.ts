/** A running embedded cluster. */
import { join } from "node:path";
import type { ApiClient } from "./api-client.ts";
import type { CertificateAuthority } from "./certificates.ts";
import type { ClientAccess } from "./client-access.ts";
import type {
  Capabilities,
  Cluster,
  Identity,
  Processes,
  ProcessName,
  RealNodeHandle,
  TokenOptions,
} from "./cluster.ts";
import { logTail } from "./log-tail.ts";
import type { NodeShape } from "./node-shapes.ts";
import type { AddNodesOptions } from "./nodes.ts";
import { cpuSeconds, isStopped, rssBytes } from "./process-info.ts";
import { progressOn } from "./progress.ts";
import type { Part } from "./real-node/part.ts";
import type { ClusterOptions } from "./start-cluster.ts";
import type { Supervisor } from "./supervisor-client.ts";
import type { ProcessSpec } from "./supervisor-protocol.ts";
import { waitFor } from "./wait.ts";

export interface EmbeddedParts {
  readonly supervisor: Supervisor;
  readonly name: string;
  readonly url: string;
  readonly ca: string;
  readonly adminToken: string;
  readonly kubeconfigPath: string;
  readonly api: ApiClient;
  readonly access: ClientAccess;
  readonly authority: CertificateAuthority;
  readonly options: ClusterOptions;
}

const READY_TIMEOUT_MS = 120_000;

export class EmbeddedCluster implements Cluster {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly url: string;
  readonly ca: string;
  readonly caFile: string;
  readonly adminToken: string;
  readonly kubeconfigPath: string;
  readonly dir: string;
  readonly api: ApiClient;
  readonly processes: Processes;
  readonly #parts: EmbeddedParts;
  readonly #supervisor: Supervisor;
  readonly #started = new Map<ProcessName, Part>();
  readonly #ends = new Map<string, string>();
  /** Processes whose end is our own doing. */
  readonly #doomed = new Set<string>();
  /** Programs that run beside the control plane, and who wants to know of their end. */
  readonly #programs = new Map<string, (how: string) => void>();
  #realNode: RealNodeHandle | undefined;
  #stopped: Promise<void> | undefined;

  constructor(parts: EmbeddedParts) {
    const { supervisor, options } = parts;
    this.#parts = parts;
    this.#supervisor = supervisor;
    this.name = parts.name;
    this.url = parts.url;
    this.ca = parts.ca;
    this.adminToken = parts.adminToken;
    this.kubeconfigPath = parts.kubeconfigPath;
    this.api = parts.api;
    this.dir = supervisor.dir;
    this.caFile = join(this.dir, "ca.crt");
    this.capabilities = {
      processes: true,
      anyUser: true,
      fakeKubelets: Boolean(options.kwok),
      controllerManager: Boolean(options.controllerManager),
      evictions: Boolean(options.controllerManager && options.nodeHeartbeats),
      scheduler: Boolean(options.scheduler),
      containers: Boolean(options.realNode),
      realNode: Boolean(options.realNode),
    };
    this.processes = this.#makeProcesses();
    supervisor.onExit = (name, how) => this.#noteEnd(name, how);
  }

  /** Starts a process and waits until it does its work, as far as that can be seen; remembers how, for `restart`. */
  async start(part: Part): Promise<void> {
    const { name, works } = part;
    const spec = part.spec();
    this.#started.set(name, part);
    this.#ends.delete(name);
    this.#doomed.delete(name);
    await this.#supervisor.startProcess(spec);
    if (works !== undefined) await this.#until(works.what, [name], works.look);
    // Without etcd the API server waits for ever, so its readiness stands for both.
    if (this.#started.has("kube-apiserver") && (name === "kube-apiserver" || name === "etcd")) {
      await this.#until("the API server to be ready", ["etcd", "kube-apiserver"], async () => {
        await this.api.get("/readyz");
        // The server makes it a moment after it is ready.
        await this.api.get("/api/v1/namespaces/default");
      });
    }
    if (name === "kube-controller-manager" && spec.args.some((arg) => arg.startsWith("--controllers=*"))) {
      await this.#until("the default ServiceAccount", ["kube-controller-manager"], () =>
        this.api.get("/api/v1/namespaces/default/serviceaccounts/default"),
      );
    }
  }

  /** Says nothing when these end. */
  expectEnd(names: readonly ProcessName[]): void {
    for (const name of names) this.#doomed.add(name);
  }

  get realNode(): RealNodeHandle {
    if (this.#realNode === undefined) throw new Error(`cluster ${this.name} has no real node`);
    return this.#realNode;
  }

  set realNode(node: RealNodeHandle) {
    this.#realNode = node;
  }

  /**
   * Runs any program until it ends or the cluster does: it lives on where the cluster is detached, and is gone with it.
   *
   * @param onEnd told how it ended: `exit code 0`, or a signal; not told of the cluster's own end
   */
  async runProgram(spec: ProcessSpec, onEnd: (how: string) => void): Promise<void> {
    this.#programs.set(spec.name, onEnd);
    this.#doomed.delete(spec.name);
    await this.#supervisor.startProcess(spec);
  }

  cpuSeconds(name: ProcessName): number {
    return cpuSeconds(this.processes.pid(name));
  }

  rssBytes(name: ProcessName): number {
    return rssBytes(this.processes.pid(name));
  }

  async kubeconfigFor(identity: Identity): Promise<string> {
    const { access, authority } = this.#parts;
    if ("token" in identity) return access.writeKubeconfig("token", identity);
    const { user, groups = [] } = identity;
    const certificate = authority.issue({ commonName: user, organizations: groups, usage: "client" });
    return access.writeKubeconfig(user, { certificate });
  }

  requestToken(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string> {
    return this.#parts.access.requestToken(namespace, serviceAccount, options);
  }

  serviceAccountKubeconfig(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string> {
    return this.#parts.access.serviceAccountKubeconfig(namespace, serviceAccount, options);
  }

  addNodes(shapes: readonly NodeShape[], options?: AddNodesOptions): Promise<string[]> {
    return this.#parts.access.addNodes(shapes, options);
  }

  stop(): Promise<void> {
    for (const name of this.#supervisor.running.keys()) this.#doomed.add(name);
    this.#stopped ??= this.#supervisor.stop().then(() => this.api.close());
    return this.#stopped;
  }

  /** Lets the cluster outlive this process; `stop` no longer works from here. */
  async detach(): Promise<void> {
    await this.#supervisor.detach();
    await this.api.close();
  }

  #makeProcesses(): Processes {
    const supervisor = this.#supervisor;
    const kill = async (name: ProcessName) => {
      this.#doomed.add(name);
      await supervisor.endProcess(name, "SIGKILL");
    };
    const pid = (name: ProcessName): number => {
      const found = supervisor.running.get(name);
      if (found === undefined) throw new Error(`${name} is not running in cluster ${this.name}`);
      return found;
    };
    return {
      running: () => [...supervisor.running.keys()] as ProcessName[],
      pid,
      kill,
      pause: async (name) => {
        process.kill(pid(name), "SIGSTOP");
        // The kernel stops the threads one by one.
        await waitFor(`${name} to stop`, () => isStopped(pid(name)), { everyMs: 1 });
      },
      resume: (name) => void process.kill(pid(name), "SIGCONT"),
      restart: async (name) => {
        const part = this.#started.get(name);
        if (part === undefined) throw new Error(`${name} is no part of cluster ${this.name}`);
        if (supervisor.running.has(name)) await kill(name);
        await this.start(part);
      },
      logFile: (name) => join(this.dir, `${name}.log`),
    };
  }

  /** Looks until it works; gives up at once when one of the processes it depends on has ended. */
  async #until(what: string, processes: readonly ProcessName[], look: () => Promise<unknown>): Promise<void> {
    const ended = () => processes.find((name) => this.#ends.has(name));
    const timeoutMs = this.#parts.options.readyTimeoutMs ?? READY_TIMEOUT_MS;
    try {
      await waitFor(
        what,
        async () => {
          if (ended() !== undefined) return true;
          return (await look()) !== false;
        },
        { timeoutMs },
      );
    } catch (error) {
      const logs = processes.map((name) => this.#endOfLog(name)).join("\n");
      throw new Error(`${error instanceof Error ? error.message : error}\n${logs}`, { cause: error });
    }
    const name = ended();
    if (name !== undefined) throw new Error(`${name} ended (${this.#ends.get(name)})\n${this.#endOfLog(name)}`);
  }

  #endOfLog(name: string): string {
    const path = join(this.dir, `${name}.log`);
    return `the end of ${path}:\n${logTail(path)}`;
  }

  /** A scheduler that ended by itself would look like one that does nothing: say so. */
  #noteEnd(name: string, how: string): void {
    this.#ends.set(name, how);
    if (this.#doomed.has(name)) return;
    const onEnd = this.#programs.get(name);
    if (onEnd !== undefined) {
      onEnd(how);
      return;
    }
    const progress = this.#parts.options.progress ?? progressOn();
    progress.done(`cluster ${this.name}: ${name} ended by itself (${how}); ${this.#endOfLog(name)}`);
  }
}
