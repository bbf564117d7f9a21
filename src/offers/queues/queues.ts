import type { Bids } from "../bidders.ts";
import type { Reason } from "../explain/reasons.ts";
import type { ClaimKind, Holder } from "../ledger.ts";
import type { Own } from "../lines.ts";
import type { Contender, Policy } from "../policies/policy.ts";
import { type Order, POLICIES } from "../policies/registry.ts";
import { type ResourceTable, type Vector, widened } from "../resources.ts";
import { type Heaped, IndexedHeap } from "../structures/heap.ts";
import type { Head } from "./heads.ts";
import type { QueueFacts, QueueRecord } from "./queue-facts.ts";
import { QueueRegister, type Standing } from "./queue-register.ts";

/** A place in the tree that competes with its siblings: an inner queue, or a claimant (a framework in a queue). */
export interface Child extends Heaped, Contender {
  readonly name: string;
  parent: Queue | undefined;
  weight: number;
  /** Tasks and exclusive offers of the subtree: U of the allocation rules. */
  usage: Vector;
  /** Instances held, for ties. */
  instances: number;
  /** A claimant shows its usage, an inner queue what its policy makes of what its children show. */
  readonly shown: Vector;
  /** Behind all siblings that are not. */
  penalised: boolean;
}

const NO_GUARANTEE: Vector = new Float64Array(0);

export class Claimant implements Child, Holder {
  readonly name: string;
  readonly framework: string;
  readonly queueName: string;
  parent: Queue | undefined;
  weight = 1;
  place = -1;
  usage: Vector;
  allocated: Vector;
  /** What is held for it until an instance starts there. */
  holding: Vector;
  instances = 0;
  /** Those of them that are tasks' own. */
  placed = 0;
  readonly guarantee = NO_GUARANTEE;
  head: Head | undefined;
  tier = 0;
  key = 0;
  penalised = false;
  /** Its place among those that take part in a pass. */
  entrant = -1;
  /** Tasks that belong to it. */
  tasks = 0;
  /** What it asks for, while it asks for anything; kept by lines.ts. */
  lines: Own | undefined;
  /** Its side of rounds; kept by bidders.ts. */
  bids: Bids | undefined;
  readonly #resources: ResourceTable;

  constructor(resources: ResourceTable, framework: string, queueName: string) {
    this.#resources = resources;
    this.framework = framework;
    this.queueName = queueName;
    this.name = `${framework} ${queueName}`;
    this.usage = new Float64Array(resources.width);
    this.allocated = new Float64Array(resources.width);
    this.holding = new Float64Array(resources.width);
  }

  get shown(): Vector {
    return this.usage;
  }

  held(kind: ClaimKind, vector: Vector, instances: number, sign: 1 | -1): void {
    this.#widen();
    this.instances += sign * instances;
    if (kind === "task") {
      this.placed += sign * instances;
      add(this.allocated, vector, sign);
    }
    if (kind === "hold") add(this.holding, vector, sign);
    add(this.usage, vector, sign);
    for (let queue = this.parent; queue !== undefined; queue = queue.parent) {
      queue.held(kind, vector, instances, sign);
    }
  }

  #widen(): void {
    this.usage = widened(this.usage, this.#resources.width);
    this.allocated = widened(this.allocated, this.#resources.width);
    this.holding = widened(this.holding, this.#resources.width);
  }
}

export class Queue implements Child {
  readonly name: string;
  /** What is in force; what is declared where nothing is. */
  facts: QueueFacts | undefined;
  /** What is declared, and whether it is in force. */
  standing: Standing | undefined;
  parent: Queue | undefined;
  readonly children = new Set<Queue>();
  readonly claimants = new Set<Claimant>();
  /** Set where nothing of it is in force: nothing below is served. */
  rejected: Reason | undefined;
  weight = 1;
  place = -1;
  usage: Vector = new Float64Array(0);
  allocated: Vector = new Float64Array(0);
  holding: Vector = new Float64Array(0);
  guarantee: Vector = new Float64Array(0);
  limit: Vector = new Float64Array(0);
  instances = 0;
  shown: Vector = new Float64Array(0);
  head: Head | undefined;
  tier = 0;
  key = 0;
  penalised = false;
  /** The order of its children. */
  policy: Policy = POLICIES.DominantShare();
  /** Unblocked children in the order of service; only filled during a round. */
  readonly line = new IndexedHeap<Child>((a, b) => servedBefore(this.policy, a, b));

  constructor(name: string) {
    this.name = name;
  }

  held(kind: ClaimKind, vector: Vector, instances: number, sign: 1 | -1): void {
    this.instances += sign * instances;
    if (kind === "task") add(this.allocated, vector, sign);
    if (kind === "hold") add(this.holding, vector, sign);
    add(this.usage, vector, sign);
  }

  widen(width: number): void {
    this.usage = widened(this.usage, width);
    this.allocated = widened(this.allocated, width);
    this.holding = widened(this.holding, width);
    this.guarantee = widened(this.guarantee, width);
    this.limit = widened(this.limit, width, Number.POSITIVE_INFINITY);
    this.shown = widened(this.shown, width);
  }
}

/** The order among siblings is total: penalty, key, instances held, name. */
function servedBefore(policy: Policy, a: Child, b: Child): boolean {
  if (a.penalised !== b.penalised) return b.penalised;
  if (a.tier !== b.tier) return a.tier < b.tier;
  if (a.key !== b.key) return a.key < b.key;
  if (policy.before?.(a, b) === true) return true;
  if (policy.before?.(b, a) === true) return false;
  if (a.instances !== b.instances) return a.instances < b.instances;
  return a.name < b.name;
}

export function add(target: Vector, vector: Vector, sign: number): void {
  for (let r = 0; r < vector.length; r++) if (vector[r] !== 0) target[r]! += sign * vector[r]!;
}

/** The order of a queue's children. Absent: by dominant share. */
export interface QueueOrder {
  readonly order?: Order;
  /** Of order `Fair`: the resource to be fair about. Absent: cpu. */
  readonly fairResource?: string;
}

/** The tree of queues under one nameless root, with usage kept along the paths. */
export class QueueTree {
  readonly root = new Queue("");
  readonly queues = new Map<string, Queue>();
  readonly claimants = new Map<string, Claimant>();
  /** Some queue has a guarantee or a limit: otherwise room is what is free. */
  bounded = false;
  /** Some queue has a guarantee: otherwise nothing is ever taken back. */
  guaranteed = false;
  /** Rises with every change of the tree. */
  version = 0;
  readonly #resources: ResourceTable;
  readonly #register = new QueueRegister();

  /** @param top the order of the queues that have no parent */
  constructor(resources: ResourceTable, top: QueueOrder = {}) {
    this.#resources = resources;
    this.root.widen(resources.width);
    this.root.policy = this.#policy(top);
    resources.onWiden((width) => this.#widen(width));
  }

  claimant(framework: string, queueName: string): Claimant {
    const name = `${framework} ${queueName}`;
    let claimant = this.claimants.get(name);
    if (claimant === undefined) {
      claimant = new Claimant(this.#resources, framework, queueName);
      this.claimants.set(name, claimant);
      this.#adopt(claimant);
    }
    return claimant;
  }

  /** Nothing is held or asked for by it any more. */
  dropClaimant(claimant: Claimant): void {
    this.claimants.delete(claimant.name);
    claimant.parent?.claimants.delete(claimant);
  }

  /** Returns the queues for which something has changed, this one among them. */
  observe(facts: QueueFacts, record?: QueueRecord): ReadonlySet<string> {
    return this.#changed(facts.name, ...this.#register.observe(facts, record));
  }

  /** Returns the other queues for which something has changed. */
  gone(name: string): ReadonlySet<string> {
    this.queues.delete(name);
    return this.#changed(...this.#register.gone(name));
  }

  /** All queues have been observed: from now on it is decided what is in force. Returns those for which that changes something. */
  open(): ReadonlySet<string> {
    return this.#changed(...this.#register.open());
  }

  #changed(...names: readonly string[]): ReadonlySet<string> {
    for (const name of names) this.#apply(name, this.#register.get(name)!);
    this.#rebuild();
    return new Set(names);
  }

  #apply(name: string, standing: Standing): void {
    const { declared, inForce, lastGood } = standing;
    const queue = this.queues.get(name) ?? new Queue(name);
    this.queues.set(name, queue);
    const facts = inForce ? lastGood! : declared;
    queue.facts = facts;
    queue.rejected = inForce ? undefined : "queue-invalid";
    queue.weight = facts.weight;
    queue.policy = this.#policy(facts);
    queue.limit = this.#resources.limits(facts.limit);
  }

  #policy({ order = "DominantShare", fairResource = "cpu" }: QueueOrder): Policy {
    // An administrator names it: nodes that have it may come later.
    this.#resources.known({ [fairResource]: 0 });
    return POLICIES[order](this.#resources.index(fairResource));
  }

  /** Queues from this one up to, and without, the root. */
  *path(from: Queue | undefined): Generator<Queue> {
    for (let queue = from; queue !== undefined && queue !== this.root; queue = queue.parent) yield queue;
  }

  /** The whole tree anew: queues change seldom, and the last one observed may be the parent of many. */
  #rebuild(): void {
    this.version++;
    const all = [this.root, ...this.queues.values()];
    for (const queue of all) {
      queue.children.clear();
      queue.claimants.clear();
      queue.parent = undefined;
      queue.instances = 0;
      queue.usage = new Float64Array(0);
      queue.allocated = new Float64Array(0);
      queue.holding = new Float64Array(0);
      queue.widen(this.#resources.width);
    }
    for (const queue of this.queues.values()) this.#place(queue);
    for (const queue of this.root.children) this.#guaranteeOfChildren(queue);
    for (const claimant of this.claimants.values()) this.#adopt(claimant);
    const queues = [...this.queues.values()];
    this.guaranteed = queues.some(({ guarantee }) => guarantee.some((g) => g > 0));
    this.bounded = this.guaranteed || queues.some(({ limit }) => limit.some((l) => l !== Number.POSITIVE_INFINITY));
  }

  #place(queue: Queue): void {
    queue.standing = this.#register.get(queue.name);
    queue.guarantee = new Float64Array(this.#resources.width);
    if (queue.rejected !== undefined) return;
    queue.guarantee = this.#resources.known(queue.facts!.guarantee);
    const { parent } = queue.facts!;
    const above = parent === undefined ? this.root : this.queues.get(parent)!;
    queue.parent = above;
    above.children.add(queue);
  }

  /** An inner queue that states no guarantee has the sum of its children's. */
  #guaranteeOfChildren(queue: Queue): Vector {
    const sum = new Float64Array(this.#resources.width);
    for (const child of queue.children) add(sum, this.#guaranteeOfChildren(child), 1);
    if (Object.keys(queue.facts!.guarantee).length === 0) queue.guarantee = sum;
    return queue.guarantee;
  }

  /** Hangs the claimant under its queue and counts what it holds there. */
  #adopt(claimant: Claimant): void {
    const queue = this.queues.get(claimant.queueName);
    claimant.parent = queue;
    if (queue === undefined) return;
    queue.claimants.add(claimant);
    for (let at: Queue | undefined = queue; at !== undefined; at = at.parent) {
      add(at.usage, claimant.usage, 1);
      add(at.allocated, claimant.allocated, 1);
      add(at.holding, claimant.holding, 1);
      at.instances += claimant.instances;
    }
  }

  #widen(width: number): void {
    for (const queue of [this.root, ...this.queues.values()]) queue.widen(width);
  }
}
