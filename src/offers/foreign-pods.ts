import type { Claim } from "./ledger.ts";
import type { ForeignPodFacts } from "./messages.ts";
import type { NodeEntry } from "./nodes.ts";
import type { State } from "./state.ts";

/** Pods that are none of our doing: what they take of their nodes. */
export class ForeignPods {
  readonly #state: State;
  readonly #known = new Set<string>();

  constructor(state: State) {
    this.#state = state;
  }

  /** Returns its node, where there may be less room now. */
  observed(pod: ForeignPodFacts): NodeEntry {
    const node = this.#state.nodes.ensure(pod.node);
    const vector = this.#state.resources.taken(pod.requests);
    const claim: Claim = {
      id: `pod/${pod.uid}`,
      kind: "foreign",
      node: node.index,
      vector,
      instances: 0,
      holder: undefined,
    };
    // It may take less than before, or be elsewhere.
    if (this.#state.ledger.get(claim.id) !== undefined) this.#state.dirty = true;
    if (pod.pinned === true) {
      // It is not there yet, and may ask for more than there is: it must not close the node to everybody.
      this.#state.ledger.expect(claim);
    } else {
      this.#state.ledger.observe(claim);
    }
    this.#known.add(pod.uid);
    if (this.#state.nodes.trust(node, this.#state.nowMs)) this.#state.dirty = true;
    return node;
  }

  gone(uid: string): void {
    if (!this.#known.delete(uid)) return;
    this.#state.ledger.forget(`pod/${uid}`);
    this.#state.dirty = true;
  }
}
