import { Pool } from "undici";
import type { Cluster } from "../tools/cluster/cluster.ts";

/**
 * The fastest way to create many objects from one process: bodies as text, HTTP/1.1, answers thrown away. It sets the
 * limit that others are held against, and feeds all of them alike.
 */
export class FastClient {
  readonly #pool: Pool;
  readonly #headers: Record<string, string>;
  readonly #connections: number;

  constructor(cluster: Cluster, connections = 32) {
    this.#connections = connections;
    this.#pool = new Pool(cluster.url, { connections, allowH2: false, pipelining: 1, connect: { ca: cluster.ca } });
    this.#headers = { authorization: `Bearer ${cluster.adminToken}`, "content-type": "application/json" };
  }

  /** Creates `count` objects at `path`. Throws at the first that is refused. `created` is told how many there are. */
  async createAll(
    path: string,
    count: number,
    body: (i: number) => string,
    created?: (n: number) => void,
  ): Promise<void> {
    let next = 0;
    let done = 0;
    const worker = async () => {
      while (next < count) {
        const i = next++;
        const answer = await this.#pool.request({ method: "POST", path, headers: this.#headers, body: body(i) });
        if (answer.statusCode >= 300) throw new Error(`POST ${path}: ${answer.statusCode} ${await answer.body.text()}`);
        await answer.body.dump();
        created?.(++done);
      }
    };
    await Promise.all(Array.from({ length: this.#connections }, worker));
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

const RESOURCES = { requests: { cpu: "100m", memory: "128Mi" } };
const containers = [{ name: "main", image: "registry.invalid/none:1", resources: RESOURCES }];

/** A pod as `limit` and kube-scheduler get it: bound already, or not. */
export function podBody(i: number, node: string | undefined): string {
  const spec = { ...(node === undefined ? {} : { nodeName: node }), containers, restartPolicy: "Never" };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: `p-${i}` }, spec });
}

/** The same pod as a Task of so many instances. */
export function taskBody(i: number, framework: string, instances: number): string {
  const spec = { framework, instances, template: { spec: { containers } } };
  return JSON.stringify({ apiVersion: "proffer.dev/v1alpha1", kind: "Task", metadata: { name: `t-${i}` }, spec });
}

export function frameworkBody(name: string, spec: object): string {
  return JSON.stringify({ apiVersion: "proffer.dev/v1alpha1", kind: "Framework", metadata: { name }, spec });
}

export const PODS = "/api/v1/namespaces/default/pods";
export const TASKS = "/apis/proffer.dev/v1alpha1/namespaces/default/tasks";
export const FRAMEWORKS = "/apis/proffer.dev/v1alpha1/namespaces/default/frameworks";
