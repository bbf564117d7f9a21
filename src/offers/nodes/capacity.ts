import type { Claim } from "../ledger.ts";
import type { ForeignPodFacts, NodeFacts, PodFacts } from "../messages.ts";
import type { Offers } from "../offers.ts";
import type { State } from "../state.ts";
import type { Tasks } from "../tasks/tasks.ts";
import { NodeWatch } from "./node-watch.ts";
import type { NodeEntry } from "./nodes.ts";

/** What there is to give out: nodes as they come, change and go, and what others take of them. Facts outrank offers. */
export class Capacity {
  readonly #state: State;
  readonly #tasks: Tasks;
  readonly #offers: Offers;
  readonly #nodeWatch: NodeWatch;
  /** Names learned: somebody may ask for what nobody had before. */
  readonly #namesLearned: () => void;
  readonly #foreign = new Map<string, string>();

  constructor(state: State, tasks: Tasks, offers: Offers, namesLearned: () => void) {
    this.#state = state;
    this.#tasks = tasks;
    this.#offers = offers;
    this.#nodeWatch = new NodeWatch(state, tasks);
    this.#namesLearned = namesLearned;
  }

  /** All facts are in: nodes that only pods know of are missing. */
  opened(): void {
    for (const node of this.#state.nodes.entries) if (node !== undefined) this.#nodeWatch.missing(node);
  }

  /** Some framework's patience with this node may have ended. */
  check(node: string): void {
    this.#nodeWatch.check(node);
  }

  nodeObserved(facts: NodeFacts): void {
    const before = this.#state.nodes.get(facts.name)?.facts;
    const names = this.#state.resources.count;
    const node = this.#state.nodes.observe(facts, this.#state.nowMs);
    if (this.#state.resources.count > names) this.#namesLearned();
    if (before !== undefined && (before.uid !== facts.uid || !sameLabels(before.labels, facts.labels))) {
      this.#state.refusals.clearNode(node.index);
    }
    if (facts.closed === "settling" && facts.settledAtMs !== undefined) {
      this.#state.timers.set(facts.settledAtMs, { type: "node-settles", name: facts.name });
    }
    if (facts.ready) this.#nodeWatch.ready(node);
    else this.#nodeWatch.unready(node);
    this.#state.dirty = true;
    this.#roomFell(node);
  }

  nodeGone(name: string): void {
    const node = this.#state.nodes.get(name);
    if (node?.facts === undefined) return;
    this.#state.refusals.clearNode(node.index);
    this.#state.holds.releaseOn(node.index);
    this.#offers.rescindOn(node.index, { reason: "rescinded", message: `node ${name} is gone` });
    this.#state.nodes.gone(node);
    this.#nodeWatch.gone(node);
    this.#state.dirty = true;
  }

  nodeSettled(name: string): void {
    const node = this.#state.nodes.get(name);
    if (node !== undefined) this.#state.nodes.reconsider(node, this.#state.nowMs);
    this.#state.dirty = true;
  }

  podObserved(pod: PodFacts): void {
    this.#tasks.podObserved(pod);
    const node = this.#state.nodes.get(pod.node);
    if (node === undefined) return;
    if (this.#state.opened) this.#nodeWatch.missing(node);
    this.#roomFell(node);
  }

  foreignObserved(pod: ForeignPodFacts): void {
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
    // It may take less than before, or be elsewhere. Where there are guarantees, what it takes may have to be given back by others.
    if (this.#state.tree.bounded || this.#state.ledger.get(claim.id) !== undefined) this.#state.dirty = true;
    if (pod.pinned === true) {
      // It is not there yet, and may ask for more than there is: it must not close the node to everybody.
      this.#state.ledger.expect(claim);
    } else {
      this.#state.ledger.observe(claim);
    }
    this.#foreign.set(pod.uid, pod.node);
    if (this.#state.nodes.trust(node, this.#state.nowMs)) this.#state.dirty = true;
    this.#roomFell(node);
  }

  foreignGone(uid: string): void {
    if (!this.#foreign.delete(uid)) return;
    this.#state.ledger.forget(`pod/${uid}`);
    this.#state.dirty = true;
  }

  /** A fact may have taken room that was offered, or closed the node. */
  #roomFell(node: NodeEntry | undefined): void {
    if (node === undefined) return;
    if (node.closed !== undefined || this.#state.nodes.overfull(node.index)) this.#state.holds.releaseOn(node.index);
    if (node.closed !== undefined) {
      this.#offers.rescindOn(node.index, {
        reason: "rescinded",
        message: `node ${node.name} is closed: ${node.closed}`,
      });
    }
    this.#offers.relieve(node.index);
  }
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
