/** What a cluster is to tests, benches and tools, wherever it runs. */
import type { ApiClient } from "./api-client.ts";
import type { NodeShape } from "./node-shapes.ts";
import type { AddNodesOptions } from "./nodes.ts";

export type ProcessName =
  | ("etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "kwok")
  // Of a real node: what holds its network and its other namespaces, what runs on it, and the way to the API server.
  | ("network" | "machine" | "containerd" | "kubelet" | "kube-proxy" | "door" | "door-inside");

/** What can be done to a cluster; tests skip what is not there. */
export interface Capabilities {
  /** Processes can be killed, paused, restarted and measured. */
  readonly processes: boolean;
  /** Client certificates of any user can be issued. */
  readonly anyUser: boolean;
  /** kwok plays the kubelets of fake nodes. */
  readonly fakeKubelets: boolean;
  /** A controller-manager runs: namespaces end, owned objects are collected, Deployments work. */
  readonly controllerManager: boolean;
  /** Nodes that are not Ready are tainted, and their pods evicted when they tolerate that no longer. */
  readonly evictions: boolean;
  /** kube-scheduler runs. */
  readonly scheduler: boolean;
  /** There is a node with a kubelet, on which pods run as containers, and which has our images. */
  readonly containers: boolean;
  /** That node is ours: its power can be cut, its kubelet ended, and it runs what files say. */
  readonly realNode: boolean;
}

/** Who a kubeconfig is for. */
export type Identity = { readonly token: string } | { readonly user: string; readonly groups?: readonly string[] };

/** The processes of an embedded cluster, addressed by name. All throw where `capabilities.processes` is false. */
export interface Processes {
  /** Names of what runs now. */
  running(): ProcessName[];
  pid(name: ProcessName): number;
  /** Ends it at once (SIGKILL), and returns when it has ended. */
  kill(name: ProcessName): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open and nothing answers. Returns when it stands still. */
  pause(name: ProcessName): Promise<void>;
  resume(name: ProcessName): void;
  /** Starts it again as it was, killing it first if it runs, and waits until it is ready. */
  restart(name: ProcessName): Promise<void>;
  logFile(name: ProcessName): string;
}

/** A node on which pods run as containers. */
export interface RealNodeHandle {
  readonly name: string;
  /** The folder whose files the kubelet runs as pods, whether the API server knows of them or not. */
  readonly staticPods: string;
  /** Every process on the node ends at once, as if its power were cut. */
  cutPower(): Promise<void>;
  /** Starts it again after `cutPower`, and returns when it is Ready. */
  boot(): Promise<void>;
}

export interface Cluster {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly url: string;
  /** PEM of the API server's authority; empty where the system's authorities are used. */
  readonly ca: string;
  readonly caFile: string;
  /** A token of system:masters; empty where the user's own credentials are used. */
  readonly adminToken: string;
  /** The administrator's kubeconfig file. */
  readonly kubeconfigPath: string;
  /** A folder that is gone when the cluster is. */
  readonly dir: string;
  /** As the administrator. */
  readonly api: ApiClient;
  readonly processes: Processes;
  /** The node with a kubelet; throws where `capabilities.containers` is false, and all but its name where `realNode` is. */
  readonly realNode: RealNodeHandle;
  /** CPU seconds (user and system) a process has used since it started. */
  cpuSeconds(name: ProcessName): number;
  /** Resident memory of a process. */
  rssBytes(name: ProcessName): number;
  /** Writes a kubeconfig file for a token, or for a user and groups by a client certificate; returns its path. */
  kubeconfigFor(identity: Identity): Promise<string>;
  /** A token of a ServiceAccount (TokenRequest), valid for an hour unless said otherwise. */
  requestToken(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string>;
  /** Writes a kubeconfig file with such a token; returns its path. */
  serviceAccountKubeconfig(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string>;
  /** Creates fake nodes; returns their names. Numbers go on where the last call ended. */
  addNodes(shapes: readonly NodeShape[], options?: AddNodesOptions): Promise<string[]>;
  /** Ends the cluster and removes every trace; a user's own cluster stays. May be called twice. */
  stop(): Promise<void>;
}

export interface TokenOptions {
  readonly expirationSeconds?: number;
  readonly audiences?: readonly string[];
}
