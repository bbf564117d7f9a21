import { execFileSync } from "node:child_process";
import { ApiClient, type Json } from "../../tools/cluster/api-client.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { ensureKubectl } from "../../tools/cluster/helm-kubectl.ts";

/** What the API server says to a request: "" when it is granted. */
export const refusal = (request: Promise<unknown>): Promise<string> =>
  request.then(
    () => "",
    (error: Error) => error.message,
  );

/** A group with an administrator's roles, and none of the privileges of system:masters. */
export const ADMINISTRATORS = "administrators";

/** Different people on one cluster. */
export class People {
  readonly #cluster: Cluster;
  readonly #kubectl: string;
  readonly #clients: ApiClient[] = [];

  private constructor(cluster: Cluster, kubectl: string) {
    this.#cluster = cluster;
    this.#kubectl = kubectl;
  }

  static async on(cluster: Cluster): Promise<People> {
    return new People(cluster, await ensureKubectl());
  }

  /** As the administrator; returns what kubectl prints. */
  kubectl(...args: string[]): string {
    const config = ["--kubeconfig", this.#cluster.kubeconfigPath];
    return execFileSync(this.#kubectl, [...config, ...args], { encoding: "utf8", stdio: "pipe" });
  }

  /** A client with a token of a ServiceAccount. */
  async serviceAccount(namespace: string, name: string): Promise<ApiClient> {
    const { url, ca } = this.#cluster;
    const token = await this.#cluster.requestToken(namespace, name);
    const client = new ApiClient({ url, ...(ca === "" ? {} : { ca }), token });
    this.#clients.push(client);
    return client;
  }

  /** Patches as somebody else, with an administrator's rights: only policies stand in the way. "" when granted. */
  patchAs(user: string, namespace: string, object: string, patch: Json): string {
    try {
      const identity = ["--as", user, "--as-group", ADMINISTRATORS, "-n", namespace];
      this.kubectl(...identity, "patch", object, "--type=merge", "-p", JSON.stringify(patch));
      return "";
    } catch (error) {
      return String((error as { stderr: string }).stderr);
    }
  }

  /** Whether the roles of a ServiceAccount allow something there. */
  async may(account: string, namespace: string, verb: string, what: string, group = "proffer.dev"): Promise<boolean> {
    const [resource, subresource = ""] = what.split("/");
    const groups = ["system:serviceaccounts", "system:authenticated"];
    const { status } = await this.#cluster.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      spec: { user: account, groups, resourceAttributes: { namespace, verb, group, resource, subresource } },
    });
    return status.allowed;
  }

  async leave(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

const nobody = "11111111-2222-3333-4444-555555555555";

/** An owner reference to a custom resource; by default to one that nobody has. */
export const owner = (kind = "Task", uid = nobody) => ({ apiVersion: "proffer.dev/v1alpha1", kind, name: "t", uid });

/** What only the operator may put on a pod, beside what anybody may. */
export const marks: Json = {
  labels: { "proffer.dev/task-uid": "u", "proffer.dev/task": "t", app: "x" },
  annotations: { "proffer.dev/note": "n", other: "y" },
  finalizers: ["proffer.dev/tracking"],
};

/** Of an object that nobody may make: for the probes of policies. */
export const probed: Json = { name: "probe", labels: { "proffer.dev/probe": "" } };
