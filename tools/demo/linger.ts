/** What is there to look around in once the show is over and everything is kept. */
import { API_VERSION } from "../../src/api/common.ts";
import { ensureKubectl } from "../cluster/helm-kubectl.ts";
import { listClusters, writeCard } from "../cluster/registry.ts";
import { tryVersion } from "../cluster/try-version.ts";
import { waitFor } from "../cluster/wait.ts";
import { FRAMEWORKS } from "./cast.ts";
import type { Machine, Size } from "./shapes.ts";
import { NAME, type Stage } from "./stage.ts";
import { feedBuiltin, lineOf, startProgram, tasksOf, WATCHER } from "./tenants.ts";

const WAITING_MS = 30_000;
/** Answered by whoever looks around. */
const BY_HAND = "by-hand";
const BY_HAND_INSTANCES = 4;
const PROFFER = `/apis/${API_VERSION}`;

/** @throws Error when a demo was kept and is still running */
export function refuseSecond(): void {
  const running = listClusters().find(({ name }) => name === NAME);
  if (running === undefined) return;
  throw new Error(
    `a demo that was kept is running since ${running.startedAt}: export KUBECONFIG=${running.kubeconfigPath}\n` +
      "End it first: make demo-down",
  );
}

/** Tasks that run until they are ended, some that are too large for any node, and an offer to be answered by hand. */
export async function prepareToLinger(stage: Stage, machines: readonly Machine[]): Promise<void> {
  const { cluster, failures } = stage;
  const need: Size = { cpuMilli: 2_000, memoryMib: 4_096, gpuMilli: 0 };
  const giant: Size = { ...need, cpuMilli: 2 * Math.max(...machines.map(({ cpuMilli }) => cpuMilli)) };
  const lines = [
    lineOf({ name: "long", instances: 8, need }),
    lineOf({ name: "too-large", instances: 1, need: giant }),
  ];
  for (const framework of FRAMEWORKS) {
    if (framework.kind === "Builtin") await feedBuiltin(cluster, framework, lines);
    else
      await startProgram(cluster, framework, lines, (failure) => failures.push(failure ?? `${framework.name} ended`));
  }
  await offerByHand(stage, need);
  await waitFor(
    "the waiting tasks to say why",
    async () => {
      if (failures.length > 0) return true;
      const tasks = (await Promise.all(FRAMEWORKS.map(({ name }) => tasksOf(cluster.api, name)))).flat();
      const waiting = tasks.filter(({ status }) =>
        status?.conditions?.some(({ type }: { type: string }) => type === "Waiting"),
      );
      return waiting.length >= FRAMEWORKS.length;
    },
    { timeoutMs: WAITING_MS, everyMs: 250 },
  );
  if (failures.length > 0) throw new Error(failures[0]);
}

/** A framework without a program: its offers stay open for an hour, for the administrator to answer. */
async function offerByHand({ cluster }: Stage, need: Size): Promise<void> {
  const { api } = cluster;
  await api.create("/api/v1/namespaces", { metadata: { name: BY_HAND } });
  const head = { apiVersion: API_VERSION, metadata: { name: BY_HAND } };
  await api.create(`${PROFFER}/namespaces/${BY_HAND}/frameworks`, {
    ...head,
    kind: "Framework",
    spec: { scheduler: { type: "Offers" }, answerers: ["admin"], offers: { timeoutSeconds: 3600, maxOutstanding: 1 } },
  });
  const resources = { requests: { cpu: `${need.cpuMilli}m`, memory: `${need.memoryMib}Mi` } };
  const container = { name: "main", image: "busybox:1.37", resources, securityContext: { runAsUser: 65_534 } };
  await api.create(`${PROFFER}/namespaces/${BY_HAND}/tasks`, {
    ...head,
    metadata: { name: "job" },
    kind: "Task",
    spec: { framework: BY_HAND, instances: BY_HAND_INSTANCES, template: { spec: { containers: [container] } } },
  });
  await waitFor("an offer to answer by hand", async () => {
    return (await api.get(`${PROFFER}/namespaces/${BY_HAND}/offers`)).items.length > 0;
  });
}

/** Lets go of everything, and makes it known to `npm run cluster`. */
export async function letGo({ cluster, watch }: Stage, nodes: number): Promise<void> {
  await watch.stop();
  const { name, url, kubeconfigPath } = cluster;
  writeCard(cluster.dir, { name, url, kubeconfigPath, nodes, startedAt: new Date().toISOString() });
  await cluster.detach();
}

/** What to type to look around. */
export async function invitation({ cluster, operatorUrl }: Stage): Promise<string[]> {
  const kubectl = await ensureKubectl();
  const installed = tryVersion("kubectl", ["version", "--client"]) !== undefined && kubectl === "kubectl";
  const [builtin] = FRAMEWORKS;
  const answer = `{"answer":{"by":"admin","decision":"Accept","launches":[{"task":"job","slice":"s0","count":1}]}}`;
  return [
    "Everything is left running. Look around:",
    "",
    `  export KUBECONFIG=${cluster.kubeconfigPath}`,
    ...(installed ? [] : [`  alias kubectl=${kubectl}`]),
    "  kubectl get frameworks,offers,tasks,queues -A",
    `  kubectl -n ${builtin?.name} describe task ${builtin?.name}-too-large     # says why it waits`,
    `  kubectl -n ${builtin?.name} get pods -o wide`,
    "",
    `  TOKEN=$(kubectl -n ${WATCHER.namespace} create token ${WATCHER.name})`,
    `  curl -H "Authorization: Bearer $TOKEN" ${operatorUrl}/metrics`,
    `  curl -H "Authorization: Bearer $TOKEN" "${operatorUrl}/explain/task/${builtin?.name}/${builtin?.name}-too-large?format=text"`,
    "",
    "Be a framework yourself: an offer waits for your answer.",
    "",
    `  kubectl -n ${BY_HAND} get offers`,
    `  OFFER=$(kubectl -n ${BY_HAND} get offers -o jsonpath='{.items[?(@.status.phase=="Open")].metadata.name}')`,
    `  kubectl -n ${BY_HAND} patch offer $OFFER --type=merge -p '${answer}'`,
    "",
    `Logs: ${cluster.dir}/*.log    Stop: make demo-down   (or: npm run cluster -- down --name ${NAME})`,
  ];
}
