/** Somebody with kubectl, a ServiceAccount's token and a role in one namespace: nothing else. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Json } from "../../../tools/cluster/api-client.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { ensureKubectl } from "../../../tools/cluster/helm-kubectl.ts";
import { waitFor } from "../../../tools/cluster/wait.ts";

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly complaint: string;
}

export class Person {
  /** The user name, as the API server knows it. */
  readonly user: string;
  readonly #namespace: string;
  readonly #kubectl: string;
  /** For other programs that act as this person. */
  readonly kubeconfig: string;

  private constructor(user: string, namespace: string, kubectl: string, kubeconfig: string) {
    this.user = user;
    this.#namespace = namespace;
    this.#kubectl = kubectl;
    this.kubeconfig = kubeconfig;
  }

  /** Makes the account and binds it to the ClusterRole there. */
  static async in(cluster: Cluster, namespace: string, account: string, role = "proffer-editor"): Promise<Person> {
    await cluster.api.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: account } });
    await cluster.api.create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
      metadata: { name: account },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }],
    });
    const kubeconfig = await cluster.serviceAccountKubeconfig(namespace, account);
    const user = `system:serviceaccount:${namespace}:${account}`;
    const person = new Person(user, namespace, await ensureKubectl(), kubeconfig);
    await waitFor(`the role of ${user}`, async () => (await person.try("auth", "can-i", "list", "offers")).code === 0);
    return person;
  }

  /** Runs kubectl in the namespace and returns what it prints. Throws with what it complains about. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { code, out, complaint } = await this.try(...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${complaint}`);
    return out;
  }

  /** The same, whatever comes of it. */
  async try(...args: readonly string[]): Promise<Said> {
    return this.#finish(this.#spawn(args));
  }

  /** `kubectl apply` of these objects, or what it complains about. */
  async apply(...objects: readonly Json[]): Promise<Said> {
    const child = this.#spawn(["apply", "-f", "-"]);
    child.stdin?.end(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    return this.#finish(child);
  }

  async get(kind: string, name: string): Promise<Json> {
    return JSON.parse(await this.kubectl("get", kind, name, "-o", "json"));
  }

  async list(kind: string): Promise<Json[]> {
    return JSON.parse(await this.kubectl("get", kind, "-o", "json")).items;
  }

  patch(kind: string, name: string, patch: Json): Promise<Said> {
    return this.try("patch", kind, name, "--type=merge", "-p", JSON.stringify(patch));
  }

  /** Starts `kubectl get KIND --watch`; `lines` are what it has printed so far. */
  watch(kind: string): { readonly lines: () => string[]; readonly stop: () => void } {
    const child = this.#spawn(["get", kind, "--watch"]);
    let text = "";
    child.stdout?.on("data", (data) => {
      text += data;
    });
    return { lines: () => text.split("\n"), stop: () => void child.kill() };
  }

  #spawn(args: readonly string[]): ChildProcess {
    return spawn(this.#kubectl, ["--kubeconfig", this.kubeconfig, "-n", this.#namespace, ...args]);
  }

  async #finish(child: ChildProcess): Promise<Said> {
    let [out, complaint] = ["", ""];
    child.stdout?.on("data", (data) => {
      out += data;
    });
    child.stderr?.on("data", (data) => {
      complaint += data;
    });
    const [code] = await once(child, "close");
    return { code, out, complaint };
  }
}
