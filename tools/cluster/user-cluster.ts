/** The cluster that the user's kubeconfig points to. Nothing is started or ended; what we create there is removed. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { ApiClient, ApiError, type Json } from "./api-client.ts";
import { ClientAccess } from "./client-access.ts";
import type { Capabilities, Cluster, Identity, Processes, RealNodeHandle, TokenOptions } from "./cluster.ts";
import type { NodeShape } from "./node-shapes.ts";
import { type AddNodesOptions, isFakeNode } from "./nodes.ts";
import { isAlive } from "./process-info.ts";

const FOLDER_PREFIX = "proffer-kubeconfig-";

export interface UserClusterOptions {
  /** Instead of that of KUBECONFIG or the usual file. */
  readonly kubeconfig?: string;
  /** The value of CLUSTER, for messages. */
  readonly as?: string;
  /** What it can do beyond what any cluster can. */
  readonly can?: Partial<Capabilities>;
}

/** A handle on the current context of a kubeconfig. Throws when there is none or it does not answer. */
export async function openUserCluster({
  as = "kubeconfig",
  kubeconfig,
  can = {},
}: UserClusterOptions = {}): Promise<UserCluster> {
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  const context = config.getContextObject(config.getCurrentContext());
  const found = config.getCurrentCluster();
  if (context === null || found === null) throw new Error(`CLUSTER=${as}: the kubeconfig has no current context`);
  const tls: RequestOptions = {};
  await config.applyToHTTPSOptions(tls);
  const text = (value: unknown) => (value === undefined || value === null ? undefined : String(value));
  const [ca, cert, key] = [text(tls.ca), text(tls.cert), text(tls.key)];
  const api = new ApiClient({
    url: found.server,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    insecure: found.skipTLSVerify === true,
    authorization: async () => {
      const options: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(options);
      return text((options.headers as Record<string, unknown>).Authorization);
    },
  });
  try {
    await api.get("/readyz");
    const nodeName = can.containers ? await firstKubelet(api) : undefined;
    return new UserCluster(context.name, found.server, ca ?? "", api, config, { can, nodeName });
  } catch (error) {
    await api.close();
    const why = error instanceof Error ? error.message : String(error);
    const what = `CLUSTER=${as}: ${found.server} of context ${context.name} does not answer: ${why}`;
    throw new Error(what, { cause: error });
  }
}

async function firstKubelet(api: ApiClient): Promise<string | undefined> {
  const { items } = await api.get("/api/v1/nodes");
  return items.map(({ metadata }: Json) => metadata).find((one: Json) => !isFakeNode(one))?.name;
}

const unsupported = (what: string): never => {
  throw new Error(
    `${what}: not possible with CLUSTER=${process.env.CLUSTER ?? ""}; ask the cluster's capabilities first`,
  );
};

const NO_PROCESSES: Processes = {
  running: () => [],
  pid: (name) => unsupported(`the pid of ${name}`),
  kill: async (name) => unsupported(`killing ${name}`),
  pause: async (name) => unsupported(`pausing ${name}`),
  resume: (name) => unsupported(`resuming ${name}`),
  restart: async (name) => unsupported(`restarting ${name}`),
  logFile: (name) => unsupported(`the log of ${name}`),
};

export class UserCluster implements Cluster {
  readonly capabilities: Capabilities;
  readonly processes = NO_PROCESSES;
  get realNode(): RealNodeHandle {
    return {
      name: this.#nodeName ?? unsupported("a node with our images"),
      get staticPods() {
        return unsupported("a kubelet's folder");
      },
      cutPower: async () => unsupported("cutting a node's power"),
      boot: async () => unsupported("starting a node"),
    };
  }
  readonly adminToken = "";
  readonly name: string;
  readonly url: string;
  readonly ca: string;
  readonly caFile: string;
  readonly kubeconfigPath: string;
  readonly dir: string;
  readonly api: ApiClient;
  readonly #access: ClientAccess;
  readonly #nodes = new Set<string>();
  readonly #nodeName: string | undefined;
  #beforeItEnds: () => Promise<void> = async () => {};

  constructor(
    name: string,
    url: string,
    ca: string,
    api: ApiClient,
    config: KubeConfig,
    { can, nodeName }: { readonly can: Partial<Capabilities>; readonly nodeName: string | undefined },
  ) {
    this.capabilities = {
      processes: false,
      anyUser: false,
      fakeKubelets: false,
      controllerManager: true,
      evictions: true,
      scheduler: true,
      containers: false,
      realNode: false,
      ...can,
    };
    this.#nodeName = nodeName;
    sweepFolders();
    this.dir = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
    process.once("exit", () => rmSync(this.dir, { recursive: true, force: true }));
    this.name = name;
    this.url = url;
    this.ca = ca;
    this.api = api;
    this.caFile = join(this.dir, "ca.crt");
    writeFileSync(this.caFile, ca);
    // KUBECONFIG may be a list of files; ours is what they amount to.
    this.kubeconfigPath = join(this.dir, "admin.kubeconfig");
    writeFileSync(this.kubeconfigPath, config.exportConfig(), { mode: 0o600 });
    this.#access = new ClientAccess(api, { dir: this.dir, url, ca });
  }

  cpuSeconds(): number {
    return unsupported("measuring processes");
  }

  rssBytes(): number {
    return unsupported("measuring processes");
  }

  async kubeconfigFor(identity: Identity): Promise<string> {
    if ("user" in identity) return unsupported(`a certificate for user ${identity.user}`);
    return this.#access.writeKubeconfig("token", identity);
  }

  requestToken(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string> {
    return this.#access.requestToken(namespace, serviceAccount, options);
  }

  serviceAccountKubeconfig(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string> {
    return this.#access.serviceAccountKubeconfig(namespace, serviceAccount, options);
  }

  async addNodes(shapes: readonly NodeShape[], options?: AddNodesOptions): Promise<string[]> {
    const names = await this.#access.addNodes(shapes, options);
    for (const name of names) this.#nodes.add(name);
    return names;
  }

  /** Has this done once the nodes that were made are gone. */
  beforeItEnds(work: () => Promise<void>): void {
    this.#beforeItEnds = work;
  }

  async stop(): Promise<void> {
    for (const name of this.#nodes) {
      await this.api.delete(`/api/v1/nodes/${name}`).catch((error: unknown) => {
        if (!(error instanceof ApiError && error.status === 404)) throw error;
      });
    }
    this.#nodes.clear();
    await this.#beforeItEnds();
    this.#beforeItEnds = async () => {};
    await this.api.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Folders hold credentials: those of programs that were killed go as soon as another one starts. */
function sweepFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive({ pid: Number(pid) })) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}
