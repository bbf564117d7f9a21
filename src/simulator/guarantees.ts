import type { Broker } from "../offers/broker.ts";
import type { Effect, PodFacts, TaskFacts } from "../offers/messages.ts";
import type { Quantities } from "../offers/resources.ts";
import type { QueueView } from "../offers/views.ts";
import { check } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import type { Leader } from "./leader.ts";

interface Candidate {
  readonly queue: string;
  readonly requests: Quantities;
}

/** The tree of queues at one moment, and what each uses once those have gone whose room is being taken back. */
class Tree {
  readonly #views: ReadonlyMap<string, QueueView>;
  readonly #usage: ReadonlyMap<string, Record<string, number>>;
  readonly #guarantees: Map<string, Quantities>;

  private constructor(
    views: ReadonlyMap<string, QueueView>,
    usage: ReadonlyMap<string, Record<string, number>>,
    guarantees: Map<string, Quantities>,
  ) {
    this.#views = views;
    this.#usage = usage;
    this.#guarantees = guarantees;
  }

  static of(broker: Broker): Tree {
    const views = new Map(broker.queues().map((name) => [name, broker.queueView(name)!]));
    const usage = new Map<string, Record<string, number>>();
    for (const [name, { allocated, offered, held }] of views) {
      const sum: Record<string, number> = {};
      for (const part of [allocated, offered, held]) {
        for (const [r, n] of Object.entries(part)) sum[r] = (sum[r] ?? 0) + n;
      }
      usage.set(name, sum);
    }
    return new Tree(views, usage, new Map());
  }

  /** The same queues, to try out what they would use: moves in one are not seen in the other. */
  copy(): Tree {
    const usage = new Map([...this.#usage].map(([name, sum]) => [name, { ...sum }]));
    return new Tree(this.#views, usage, this.#guarantees);
  }

  /** How far above its guarantee a queue is. */
  excess(name: string, resource: string): number {
    return (this.#usage.get(name)?.[resource] ?? 0) - (this.guarantee(name)[resource] ?? 0);
  }

  /** An inner queue that states none is guaranteed what its children are. */
  guarantee(name: string): Quantities {
    const known = this.#guarantees.get(name);
    if (known !== undefined) return known;
    const sum: Record<string, number> = { ...this.#views.get(name)?.guarantee };
    if (Object.keys(sum).length === 0) {
      for (const [child, { parent }] of this.#views) {
        if (parent !== name || child === name) continue;
        for (const [r, n] of Object.entries(this.guarantee(child))) sum[r] = (sum[r] ?? 0) + n;
      }
    }
    this.#guarantees.set(name, sum);
    return sum;
  }

  /** The queue and those above it that `other` is not part of; undefined if `other` is the queue itself. */
  against(queue: string, other: string): string[] | undefined {
    const above = new Set(this.#path(other));
    if (above.has(queue)) return queue === other ? undefined : [];
    return this.#path(queue).filter((name) => !above.has(name));
  }

  move(queue: string, requests: Quantities, sign: 1 | -1): void {
    for (const name of this.#path(queue)) {
      const sum = this.#usage.get(name)!;
      for (const [r, n] of Object.entries(requests)) sum[r] = (sum[r] ?? 0) + sign * n;
    }
  }

  #path(queue: string): string[] {
    const path: string[] = [];
    for (let at = this.#views.get(queue); at !== undefined && path.length < 10; at = this.#views.get(at.parent ?? "")) {
      path.push(at.name);
    }
    return path;
  }
}

/** What there is to be had at one moment, whoever asks: worked out once, since it is asked for each Task and node. */
interface Look {
  readonly tree: Tree;
  /** By node: what nobody has claimed. */
  readonly free: ReadonlyMap<string, Quantities>;
  /** By node: pods that run long enough and are not on their way out. */
  readonly victims: ReadonlyMap<string, readonly PodFacts[]>;
}

/**
 * The rules of reclaim, told a second time and from outside: what is ended for another queue's guarantee may be, and a
 * guarantee that could be met is met in time. Works from what anybody can see: queues' views, objects, claims.
 */
export class Guarantees {
  readonly #cluster: Cluster;
  /** Claim -> whose room is being taken back, of this term. */
  readonly #leaving = new Map<string, Candidate>();
  /** Queue -> since when it could have been served, by the same victims at each look. */
  readonly #unmetSinceMs = new Map<string, number>();
  #term = "";
  evictions = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Each victim is above its guarantee before it goes, and so is every queue above it that the other is not in. */
  step({ broker, term }: Leader, effects: readonly Effect[]): void {
    if (term !== this.#term) this.#leaving.clear();
    this.#term = term;
    const gangs = new Set<string>();
    for (const effect of effects) {
      // Its claim is the next attempt's now.
      if (effect.type === "create-pod") this.#leaving.delete(`task/${effect.attempt.taskUid}/${effect.attempt.index}`);
      if (effect.type !== "delete-pod" || effect.reclaimedFor === undefined) continue;
      const pod = this.#cluster.pods.get(effect.key)?.facts;
      const id = `task/${pod?.taskUid}/${pod?.index}`;
      if (pod === undefined || this.#leaving.has(id)) continue;
      const queue = this.#queueOf(pod);
      const tree = this.#tree(broker);
      const path = tree.against(queue, effect.reclaimedFor);
      check(path !== undefined, `${id} of queue ${queue} is taken for its own queue`);
      // A gang goes as one: its queue is above its guarantee before that.
      const gang = this.#gangOf(pod);
      const goesOn = gang !== undefined && gangs.has(gang);
      if (gang !== undefined) gangs.add(gang);
      for (const name of goesOn ? [] : path) {
        const above = Object.keys(pod.requests).some((r) => tree.excess(name, r) > 0);
        check(above, `${id} is taken for ${effect.reclaimedFor} although queue ${name} has no more than its guarantee`);
      }
      this.#leaving.set(id, { queue, requests: pod.requests });
      this.evictions++;
    }
  }

  /**
   * No queue is below its guarantee with demand for longer than this while victims could be had that make room for it. For
   * worlds without constraints; of the demand of Builtin frameworks.
   */
  met({ broker, nodes }: Leader, nowMs: number, boundMs: number, minimumRuntimeMs: number): void {
    let look: Look | undefined;
    for (const { facts } of this.#cluster.tasks.values()) {
      const framework = this.#cluster.frameworks.get(facts.framework);
      const waits = framework?.scheduler === "Builtin" && broker.pendingOf(facts.uid) > 0;
      const queue = framework?.queues[0]?.name ?? "";
      if (waits) look ??= this.#look(broker, [...nodes.keys()], nowMs - minimumRuntimeMs);
      const possible = waits && look !== undefined && this.#couldHave(look, facts, queue);
      if (!possible) this.#unmetSinceMs.delete(facts.uid);
      else if (!this.#unmetSinceMs.has(facts.uid)) this.#unmetSinceMs.set(facts.uid, nowMs);
      const forMs = nowMs - (this.#unmetSinceMs.get(facts.uid) ?? nowMs);
      if (forMs <= boundMs) continue;
      check(
        false,
        `queue ${queue} could have had room for ${forMs} ms: ${JSON.stringify(broker.explainTask(facts.uid))}`,
      );
    }
  }

  /** An instance of the Task has started: what it may still call for is looked at anew. */
  served(taskUid: string): void {
    this.#unmetSinceMs.delete(taskUid);
  }

  #look(broker: Broker, nodes: readonly string[], bornBeforeMs: number): Look {
    const free = new Map(nodes.map((node) => [node, { ...this.#cluster.nodes.get(node)?.allocatable }]));
    for (const { node, resources } of broker.claims()) {
      const left: Record<string, number> | undefined = free.get(node);
      if (left !== undefined) for (const [r, n] of Object.entries(resources)) left[r] = (left[r] ?? 0) - n;
    }
    // Forgets those that are gone, and is needed before anybody is said to leave.
    const tree = this.#tree(broker);
    const old = [...this.#cluster.pods.values()]
      .map(({ facts }) => facts)
      .filter((pod) => pod.phase === "Running" && !pod.deleting && !this.#isLeaving(pod))
      .filter(({ startedAtMs = Number.POSITIVE_INFINITY }) => startedAtMs <= bornBeforeMs);
    return { tree, free, victims: Map.groupBy(old, ({ node }) => node) };
  }

  /** Is there a node, with victims on it that may go one after the other, where an instance fits then? */
  #couldHave(look: Look, task: TaskFacts, queue: string): boolean {
    return [...look.free.keys()].some((node) => {
      const tree = look.tree.copy();
      const free: Record<string, number> = { ...look.free.get(node) };
      const victims = [...(look.victims.get(node) ?? [])];
      for (let gone = 0; ; gone++) {
        // Without a victim it is not reclaim's to serve.
        if (Object.entries(task.requests).every(([r, asked]) => (free[r] ?? 0) >= asked)) return gone > 0;
        const next = victims.findIndex((pod) => this.#mayGo(tree, pod, task, queue, free));
        if (next === -1) return false;
        const [victim] = victims.splice(next, 1) as [PodFacts];
        tree.move(this.#queueOf(victim), victim.requests, -1);
        for (const [r, given] of Object.entries(victim.requests)) free[r] = (free[r] ?? 0) + given;
      }
    });
  }

  #mayGo(tree: Tree, pod: PodFacts, task: TaskFacts, queue: string, free: Readonly<Record<string, number>>): boolean {
    const path = tree.against(this.#queueOf(pod), queue);
    const own = tree.against(queue, this.#queueOf(pod))?.at(-1);
    if (path === undefined || own === undefined) return false;
    const guarantee = tree.guarantee(own);
    const covered = Object.entries(task.requests).filter(([r, asked]) => asked > 0 && (guarantee[r] ?? 0) > 0);
    const lacking = covered.filter(([r, asked]) => (free[r] ?? 0) < asked && (pod.requests[r] ?? 0) > 0);
    if (lacking.length === 0 || covered.some(([r, asked]) => tree.excess(own, r) + asked > 0)) return false;
    return path.every((name) => lacking.some(([r]) => tree.excess(name, r) > 0));
  }

  #isLeaving({ taskUid, index }: PodFacts): boolean {
    return this.#leaving.has(`task/${taskUid}/${index}`);
  }

  #gangOf({ taskUid }: PodFacts): string | undefined {
    const { group, gang, framework } = this.#cluster.tasks.get(taskUid)?.facts ?? {};
    if (group !== undefined) return `${framework}/${group.name}`;
    return gang === undefined ? undefined : taskUid;
  }

  #tree(broker: Broker): Tree {
    const tree = Tree.of(broker);
    const claims = new Set([...broker.claims()].map(({ id }) => id));
    for (const [id, { queue, requests }] of this.#leaving) {
      if (claims.has(id)) tree.move(queue, requests, -1);
      else this.#leaving.delete(id);
    }
    return tree;
  }

  /** A pod whose Task is gone says itself where it belongs. */
  #queueOf(pod: PodFacts): string {
    const task = this.#cluster.tasks.get(pod.taskUid)?.facts;
    if (task === undefined) return pod.queue;
    return task.queue ?? this.#cluster.frameworks.get(pod.framework)?.queues[0]?.name ?? pod.queue;
  }
}
