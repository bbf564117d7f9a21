import type { PodFacts } from "../offers/messages.ts";
import type { Change, Cluster, PodObject } from "./cluster.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** What may befall a pod. Probabilities an attempt. */
export interface Fates {
  exitCode: number;
  eviction: number;
  /** The kubelet refuses it at its door for a reason that nobody else sees. */
  refusal: number;
  longestRunMs: number;
  /** The controller that ends pods of nodes that are gone. */
  podGc: boolean;
}

const NODE_POLL_MS = 5_000;
const POD_GC_MS = 60_000;

/** All kubelets, and the controllers that end pods: garbage collection by owner and by node. */
export class Kubelets {
  readonly fates: Fates;
  readonly #cluster: Cluster;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #known = new Set<string>();
  readonly #stopping = new Set<string>();
  readonly #admitted = new Set<string>();

  constructor(cluster: Cluster, schedule: Schedule, random: Random, fates: Fates) {
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#random = random;
    this.fates = fates;
    cluster.watch((change) => this.#changed(change));
  }

  #changed({ input }: Change): void {
    if (input.type === "task-gone") this.#collect(input.uid);
    if (input.type !== "pod-observed") return;
    const { pod } = input;
    if (!this.#known.has(pod.uid)) {
      this.#known.add(pod.uid);
      if (!this.#cluster.tasks.has(pod.taskUid)) this.#collect(pod.taskUid);
      this.#onNode(pod, 50, 1_500, (now) => this.#admit(now));
    }
    if (pod.deleting && !this.#stopping.has(pod.uid)) {
      this.#stopping.add(pod.uid);
      this.#onNode(pod, 50, 3_000, (now) => this.#stop(now));
    }
  }

  /** The Task is gone: so are its pods, soon. */
  #collect(taskUid: string): void {
    this.#schedule.in(this.#random.between(100, 5_000), () => {
      for (const { facts } of [...this.#cluster.pods.values()]) {
        if (facts.taskUid === taskUid) this.#cluster.deletePod(facts.key, facts.uid, undefined);
      }
    });
  }

  /** Some time later, as soon as the pod's node is there and ready; nothing if the pod has gone. */
  #onNode({ key, uid, node }: PodFacts, fromMs: number, toMs: number, act: (pod: PodFacts) => void): void {
    let goneForMs = 0;
    const attempt = (): void => {
      const pod = this.#live(key, uid);
      if (pod === undefined) return;
      const there = this.#cluster.nodes.get(node);
      if (there?.ready === true) {
        act(pod.facts);
        return;
      }
      goneForMs = there === undefined ? goneForMs + NODE_POLL_MS : 0;
      if (goneForMs >= POD_GC_MS && this.fates.podGc) {
        this.#cluster.deletePod(key, uid, 0);
        this.#cluster.patchPod(key, uid, { phase: "Failed" });
        return;
      }
      this.#schedule.in(NODE_POLL_MS, attempt);
    };
    this.#schedule.in(this.#random.between(fromMs, toMs), attempt);
  }

  #live(key: string, uid: string): PodObject | undefined {
    const pod = this.#cluster.pods.get(key);
    if (pod?.facts.uid !== uid || pod.facts.phase === "Succeeded" || pod.facts.phase === "Failed") return undefined;
    return pod;
  }

  #admit(pod: PodFacts): void {
    if (pod.deleting) return;
    const lacking = this.#lacking(pod);
    const refused = lacking !== undefined || this.#random.chance(this.fates.refusal);
    if (refused) {
      const reason = lacking === undefined ? "UnexpectedAdmissionError" : `OutOf${lacking}`;
      this.#cluster.patchPod(pod.key, pod.uid, { phase: "Failed", reason, message: "Pod was rejected" });
      return;
    }
    this.#admitted.add(pod.uid);
    this.#onNode(pod, 10, 1_000, (now) => {
      if (now.deleting) return;
      const startedAtMs = this.#schedule.nowMs;
      this.#cluster.patchPod(now.key, now.uid, { phase: "Running", started: true, startedAtMs });
      this.#onNode(now, 100, this.fates.longestRunMs, (then) => this.#finish(then));
    });
  }

  #lacking(pod: PodFacts): string | undefined {
    const { allocatable } = this.#cluster.nodes.get(pod.node)!;
    const here = [...this.#cluster.pods.values()].filter(
      ({ facts }) => facts.node === pod.node && this.#admitted.has(facts.uid) && this.#live(facts.key, facts.uid),
    );
    const taken = [
      pod.requests,
      ...here.map(({ facts }) => facts.requests),
      ...[...this.#cluster.foreign.values()].filter(({ node }) => node === pod.node).map(({ requests }) => requests),
    ];
    return Object.keys(pod.requests).find((name) => {
      const sum = taken.reduce((total, requests) => total + (requests[name] ?? 0), 0);
      return sum > (allocatable[name] ?? 0);
    });
  }

  #finish({ key, uid, deleting }: PodFacts): void {
    if (deleting) return;
    const finishedAtMs = this.#schedule.nowMs;
    if (this.#random.chance(this.fates.eviction)) {
      this.#cluster.patchPod(key, uid, { phase: "Failed", reason: "Evicted", message: "low on memory", finishedAtMs });
    } else if (this.#random.chance(this.fates.exitCode)) {
      this.#cluster.patchPod(key, uid, { phase: "Failed", reason: "Error", exitCode: 1, finishedAtMs });
    } else {
      this.#cluster.patchPod(key, uid, { phase: "Succeeded", finishedAtMs });
    }
  }

  #stop({ key, uid, started }: PodFacts): void {
    // Some programs end well when they are asked to.
    if (started && this.#random.chance(0.2)) this.#cluster.patchPod(key, uid, { phase: "Succeeded" });
    else this.#cluster.patchPod(key, uid, { phase: "Failed", ...(started ? { exitCode: 143 } : {}) });
  }
}
