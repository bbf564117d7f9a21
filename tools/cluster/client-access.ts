/** The part of a cluster that needs nothing but its API: tokens, kubeconfig files, fake nodes. */
import { join } from "node:path";
import type { ApiClient } from "./api-client.ts";
import type { TokenOptions } from "./cluster.ts";
import { type Credentials, writeKubeconfig } from "./kubeconfig.ts";
import type { NodeShape } from "./node-shapes.ts";
import { type AddNodesOptions, createNodes } from "./nodes.ts";

export class ClientAccess {
  readonly #api: ApiClient;
  readonly #place: { readonly dir: string; readonly url: string; readonly ca: string };
  #files = 0;
  #nodes = 0;

  constructor(api: ApiClient, place: { readonly dir: string; readonly url: string; readonly ca: string }) {
    this.#api = api;
    this.#place = place;
  }

  writeKubeconfig(name: string, credentials: Credentials): string {
    const { dir, url, ca } = this.#place;
    const path = join(dir, `${name.replace(/[^\w.-]/g, "_")}-${++this.#files}.kubeconfig`);
    writeKubeconfig(path, url, ca, name, credentials);
    return path;
  }

  async requestToken(namespace: string, serviceAccount: string, options: TokenOptions = {}): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const { expirationSeconds = 3600, audiences } = options;
    const answer = await this.#api.create(path, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds, ...(audiences === undefined ? {} : { audiences }) },
    });
    return answer.status.token;
  }

  async serviceAccountKubeconfig(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string> {
    const token = await this.requestToken(namespace, serviceAccount, options);
    return this.writeKubeconfig(`${namespace}-${serviceAccount}`, { token });
  }

  async addNodes(shapes: readonly NodeShape[], options: AddNodesOptions = {}): Promise<string[]> {
    const firstNumber = options.firstNumber ?? this.#nodes;
    this.#nodes = Math.max(this.#nodes, firstNumber + shapes.length);
    return createNodes(this.#api, shapes, { ...options, firstNumber });
  }
}
