import type { ApiClient, Json } from "./api-client.ts";
import { isFakeNode } from "./nodes.ts";
import { waitFor } from "./wait.ts";

/** Those of Kubernetes, and of kind. */
const KEPT = new Set(["default", "kube-system", "kube-public", "kube-node-lease", "local-path-storage"]);
const OURS = "?labelSelector=app.kubernetes.io/part-of=proffer";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const ADMISSION = "/apis/admissionregistration.k8s.io/v1";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** What the chart makes outside of namespaces of its own. */
const COLLECTIONS = [
  `${ADMISSION}/validatingadmissionpolicybindings`,
  `${ADMISSION}/validatingadmissionpolicies`,
  `${RBAC}/clusterrolebindings`,
  `${RBAC}/clusterroles`,
  `${RBAC}/namespaces/kube-public/rolebindings`,
  `${RBAC}/namespaces/kube-public/roles`,
  "/api/v1/namespaces/kube-public/configmaps",
];

/**
 * Removes whatever tests have made in a cluster that is theirs alone: Proffer with all its objects, namespaces, fake nodes. It is
 * then as good as new, however the file before this one has ended.
 */
export async function clearCluster(api: ApiClient): Promise<void> {
  const items = async (path: string): Promise<Json[]> => (await api.get(path)).items;
  for (const path of COLLECTIONS) await api.delete(`${path}${OURS}`);
  const definitions = (await items(CRDS)).filter(({ spec }) => spec.group === "proffer.dev");
  const namespaces = (await items("/api/v1/namespaces")).filter(({ metadata }) => !KEPT.has(metadata.name));
  const nodes = (await items("/api/v1/nodes")).filter(({ metadata }) => isFakeNode(metadata));
  const named = (collection: string, objects: readonly Json[]) =>
    objects.map(({ metadata }) => `${collection}/${metadata.name}`);
  const paths = [
    ...named(CRDS, definitions),
    ...named("/api/v1/namespaces", namespaces),
    ...named("/api/v1/nodes", nodes),
  ];
  await Promise.all(paths.map((path) => api.delete(path)));
  let left = paths;
  await waitFor(
    "what tests have made to be gone",
    async () => {
      await releasePods(api);
      for (const { spec } of definitions) await releaseObjects(api, `/apis/${spec.group}/v1alpha1`, spec.names.plural);
      const found = await Promise.all(left.map(async (path) => ((await api.find(path)) === undefined ? [] : [path])));
      left = found.flat();
      return left.length === 0;
    },
    { timeoutMs: 180_000, everyMs: 500 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${left.join(", ")}`, { cause: error });
  });
}

/** A definition goes only when all its objects have gone. */
async function releaseObjects(api: ApiClient, group: string, plural: string): Promise<void> {
  const { items = [] } = (await api.find(`${group}/${plural}`)) ?? {};
  for (const { metadata } of items) {
    if (!metadata.deletionTimestamp || !metadata.finalizers) continue;
    const place = metadata.namespace === undefined ? group : `${group}/namespaces/${metadata.namespace}`;
    await letGo(api, `${place}/${plural}/${metadata.name}`, (path) =>
      api.patch(path, { metadata: { finalizers: null } }),
    );
  }
}

/** Does something with an object; that it is gone meanwhile is fine. */
async function letGo(api: ApiClient, path: string, work: (path: string) => Promise<unknown>): Promise<void> {
  try {
    await work(path);
  } catch (error) {
    if ((await api.find(path)) !== undefined) throw error;
  }
}

/** No operator is there to take its finalizer off, and no kubelet that would end pods of fake nodes. */
async function releasePods(api: ApiClient): Promise<void> {
  const { items } = await api.get("/api/v1/pods");
  const ending = items.filter(({ metadata }: Json) => metadata.deletionTimestamp && !KEPT.has(metadata.namespace));
  for (const { metadata, spec } of ending) {
    const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
    if (metadata.finalizers) await letGo(api, path, (at) => api.patch(at, { metadata: { finalizers: null } }));
    const node = spec.nodeName && (await api.find(`/api/v1/nodes/${spec.nodeName}`));
    if (!node || isFakeNode(node.metadata)) await letGo(api, path, (at) => api.delete(at, { gracePeriodSeconds: 0 }));
  }
}
