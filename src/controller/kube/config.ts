import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { type Clock, sleep } from "./clock.ts";
import { type KubeconfigOverrides, overridden } from "./overrides.ts";

export type Headers = Readonly<Record<string, string>>;

export interface TlsOptions {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly pfx?: string | Buffer;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Where the API server is and who we are to it. */
export interface ClusterConfig {
  /** `https://host:port`, with a path in front of `/api` where a proxy wants one. */
  readonly server: string;
  /** As of the last `authorize`; a new object when something changed. */
  readonly tls: TlsOptions;
  /** The namespace of the context or of the pod; `default` without one. */
  readonly namespace: string;
  /**
   * Headers that carry our credentials, read anew at most 60 s ago.
   *
   * @param rejected headers that the server answered with 401: they are replaced now, if that has not happened yet
   * @throws Error if no credentials can be had and there are no earlier ones
   */
  authorize(rejected?: Headers): Promise<Headers>;
}

export interface ConfigSource {
  /** A kubeconfig file (`--kubeconfig`). */
  readonly path?: string;
  /** A context of the kubeconfig instead of its current one. */
  readonly context?: string;
  /** What is said instead of the kubeconfig. From within a pod only `server` and `token` have a meaning. */
  readonly overrides?: KubeconfigOverrides;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Where a pod finds its ServiceAccount; for tests. */
  readonly serviceAccountDirectory?: string;
}

interface Credentials {
  readonly headers: Headers;
  readonly tls: TlsOptions;
}

const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";
const refreshMs = 60_000;
// A credential plugin that hangs must not hang every request with it.
const refreshTimeoutMs = 30_000;

/**
 * Looks for the cluster in the order of kubectl: the given file, `KUBECONFIG`, the pod's ServiceAccount,
 * `~/.kube/config`.
 *
 * @throws Error that says what is missing
 */
export async function loadConfig(source: ConfigSource): Promise<ClusterConfig> {
  const fromEnvironment = source.env.KUBECONFIG?.split(delimiter).filter((path) => path !== "");
  if (source.path !== undefined) return loadKubeconfig([source.path], source);
  if (fromEnvironment?.length) return loadKubeconfig(fromEnvironment, source);
  if (source.env.KUBERNETES_SERVICE_HOST) return loadInCluster(source);
  return loadKubeconfig([join(source.env.HOME ?? homedir(), ".kube", "config")], source);
}

/** Without client-node, whose import takes longer than everything else at start. */
async function loadInCluster(source: ConfigSource): Promise<ClusterConfig> {
  const directory = source.serviceAccountDirectory ?? serviceAccountDirectory;
  const host = source.env.KUBERNETES_SERVICE_HOST ?? "";
  const port = source.env.KUBERNETES_SERVICE_PORT ?? "443";
  const { server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`, token } = source.overrides ?? {};
  const namespace = await readFile(join(directory, "namespace"), "utf8").catch(() => "default");
  return RefreshedConfig.create(server, namespace.trim(), source.clock, async () => ({
    headers: { authorization: `Bearer ${token ?? (await readFile(join(directory, "token"), "utf8")).trim()}` },
    tls: { ca: await readFile(join(directory, "ca.crt"), "utf8") },
  }));
}

async function loadKubeconfig(paths: readonly string[], source: ConfigSource): Promise<ClusterConfig> {
  let kubeconfig = await readKubeconfig(paths, source);
  const cluster = kubeconfig.getCurrentCluster();
  if (!cluster) throw new Error(`kubeconfig: no cluster for context "${kubeconfig.getCurrentContext()}"`);
  if (cluster.proxyUrl) throw new Error("kubeconfig: proxy-url is not supported");
  const context = kubeconfig.getContextObject(kubeconfig.getCurrentContext());
  const tokenFile = source.overrides?.token === undefined ? await tokenFileOf(paths, context?.user) : undefined;
  const read = async (afresh: boolean): Promise<Credentials> => {
    // Plugins keep their credentials until they expire, even when the server has refused them: begin anew.
    if (afresh) kubeconfig = await readKubeconfig(paths, source);
    return credentialsOf(kubeconfig, tokenFile);
  };
  return RefreshedConfig.create(cluster.server, context?.namespace ?? "default", source.clock, read);
}

async function readKubeconfig(
  paths: readonly string[],
  { context, overrides = {} }: Pick<ConfigSource, "context" | "overrides">,
): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const merged = new KubeConfig();
  for (const path of paths) {
    const one = new KubeConfig();
    try {
      one.loadFromFile(path);
    } catch (error) {
      // Whoever names the server needs no file.
      if (overrides.server !== undefined && (error as NodeJS.ErrnoException).code === "ENOENT") continue;
      // A parser's message quotes the line it stumbles on, which may hold a token.
      throw new Error(`kubeconfig ${path}: ${(error as NodeJS.ErrnoException).code ?? "cannot be read as one"}`);
    }
    // As kubectl: the first file that names a current context wins.
    merged.mergeConfig(one, merged.getCurrentContext() !== undefined);
  }
  if (context !== undefined) merged.setCurrentContext(context);
  return Object.keys(overrides).length === 0 ? merged : overridden(merged, overrides);
}

async function credentialsOf(kubeconfig: KubeConfig, tokenFile: string | undefined): Promise<Credentials> {
  const cluster = kubeconfig.getCurrentCluster();
  // client-node refuses http:// otherwise; there is no TLS to skip.
  if (cluster?.server.startsWith("http:")) Object.assign(cluster, { skipTLSVerify: true });
  const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] & TlsOptions = {};
  await kubeconfig.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim();
  if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  if (tokenFile !== undefined) headers.authorization = `Bearer ${(await readFile(tokenFile, "utf8")).trim()}`;
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const tls = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
  return { headers, tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)) };
}

/** The `tokenFile` of a kubeconfig's user, which client-node does not know. */
async function tokenFileOf(paths: readonly string[], user: string | undefined): Promise<string | undefined> {
  for (const path of paths) {
    const config = parse(await readFile(path, "utf8").catch(() => "")) as {
      users?: { name?: string; user?: { tokenFile?: string } }[];
    } | null;
    const tokenFile = config?.users?.find(({ name }) => name === user)?.user?.tokenFile;
    if (tokenFile) return resolve(dirname(path), tokenFile);
  }
  return undefined;
}

/** Credentials that are read again every 60 s, and at once when the server refuses them; single flight. */
class RefreshedConfig implements ClusterConfig {
  readonly server: string;
  readonly namespace: string;
  readonly #clock: Clock;
  readonly #read: (afresh: boolean) => Promise<Credentials>;
  #current: Credentials;
  #readAtMs: number;
  #refresh: Promise<void> | undefined;

  private constructor(
    server: string,
    namespace: string,
    clock: Clock,
    read: (afresh: boolean) => Promise<Credentials>,
    first: Credentials,
  ) {
    this.server = server;
    this.namespace = namespace;
    this.#clock = clock;
    this.#read = read;
    this.#current = first;
    this.#readAtMs = clock.monotonicMs();
  }

  static async create(
    server: string,
    namespace: string,
    clock: Clock,
    read: (afresh: boolean) => Promise<Credentials>,
  ): Promise<ClusterConfig> {
    return new RefreshedConfig(server, namespace, clock, read, await read(false));
  }

  get tls(): TlsOptions {
    return this.#current.tls;
  }

  async authorize(rejected?: Headers): Promise<Headers> {
    const refused = rejected === this.#current.headers;
    if (refused || this.#clock.monotonicMs() - this.#readAtMs >= refreshMs) {
      this.#refresh ??= this.#renew(refused).finally(() => {
        this.#refresh = undefined;
      });
      await this.#refresh;
    }
    return this.#current.headers;
  }

  async #renew(afresh: boolean): Promise<void> {
    const giveUp = new AbortController();
    try {
      const fresh = await Promise.race([
        this.#read(afresh),
        sleep(this.#clock, refreshTimeoutMs, giveUp.signal).then(() => undefined),
      ]);
      if (fresh !== undefined) this.#adopt(fresh);
    } catch {
      // A token file that is being replaced, a plugin that is offline: the earlier credentials may still do, and the
      // server's 401 says so if not.
    } finally {
      giveUp.abort();
    }
    this.#readAtMs = this.#clock.monotonicMs();
  }

  #adopt(fresh: Credentials): void {
    const { headers, tls } = this.#current;
    this.#current = {
      headers: JSON.stringify(fresh.headers) === JSON.stringify(headers) ? headers : fresh.headers,
      tls: JSON.stringify(fresh.tls) === JSON.stringify(tls) ? tls : fresh.tls,
    };
  }
}
