import type { PodFacts } from "../messages.ts";
import { equalVectors } from "../resources.ts";
import type { State } from "../state.ts";

/**
 * Pods of ours that no instance stands for: their Task is gone, or another attempt has taken their place. They claim
 * their room until they are gone, and they are to go.
 */
export class PodStrays {
  readonly #state: State;
  /** By UID: those that live, as last seen. */
  readonly #live = new Map<string, PodFacts>();

  constructor(state: State) {
    this.#state = state;
  }

  observe(pod: PodFacts): void {
    const over = pod.phase === "Succeeded" || pod.phase === "Failed";
    if (over || pod.forced === true) {
      this.gone(pod);
      if (pod.tracked) this.#state.emit({ type: "release-pod", key: pod.key, uid: pod.uid });
      return;
    }
    const vector = this.#state.resources.taken(pod.requests);
    const before = this.#state.ledger.get(`pod/${pod.uid}`);
    if (before !== undefined && !equalVectors(before.vector, vector)) this.#state.dirty = true;
    this.#state.ledger.observe({
      id: `pod/${pod.uid}`,
      kind: "task",
      node: this.#state.nodes.ensure(pod.node).index,
      vector,
      instances: 1,
      holder: this.#state.tree.claimant(pod.framework, pod.queue),
    });
    const isNew = !this.#live.has(pod.uid);
    this.#live.set(pod.uid, pod);
    if (isNew && !pod.deleting) this.#state.emit({ type: "delete-pod", key: pod.key, uid: pod.uid });
  }

  /** The pod takes no room any more. */
  gone(pod: PodFacts): void {
    if (!this.#live.delete(pod.uid)) return;
    this.#state.ledger.forget(`pod/${pod.uid}`);
    this.#state.dirty = true;
  }

  /** The node is lost: no kubelet will tell of their ends. They are let go. */
  lose(node: string): void {
    for (const pod of [...this.#live.values()]) {
      if (pod.node !== node) continue;
      this.#state.emit({ type: "delete-pod", key: pod.key, uid: pod.uid, gracePeriodSeconds: 0 });
      if (pod.tracked) this.#state.emit({ type: "release-pod", key: pod.key, uid: pod.uid });
      this.gone(pod);
    }
  }
}
