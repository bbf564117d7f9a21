import type { FrameworkFacts, NodeFacts, PodFacts, RaceRules, TaskFacts } from "../offers/messages.ts";
import type { Constraints } from "../offers/nodes/constraints.ts";
import { type Order, POLICIES } from "../offers/policies/registry.ts";
import type { QueueFacts, ReclaimFacts } from "../offers/queues/queue-facts.ts";
import type { QueueOrder } from "../offers/queues/queues.ts";
import type { Cluster } from "./cluster.ts";
import { brokenGroups, canAnswer, minimumOf, type Together, together } from "./gang-tenants.ts";
import { capacity, framework, queue } from "./plain-facts.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

const NAMESPACES = ["red", "blue"];
const ZONES = ["a", "b", "c"];
const ORDERS = Object.keys(POLICIES) as Order[];

/** Administrators and tenants: they make a cluster, change it at whim, and put all right again in the end. */
export class Tenants {
  readonly #cluster: Cluster;
  readonly #schedule: Schedule;
  readonly #random: Random;
  /** What each template asks for. */
  readonly #asked = new Map<string, TaskFacts["requests"]>();
  #calm = false;
  #nodes = 0;
  #tasks = 0;

  constructor(cluster: Cluster, schedule: Schedule, random: Random) {
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#random = random;
  }

  /** The cluster as it is when the run begins. */
  begin(): void {
    const random = this.#random;
    for (let n = random.between(2, 6); n > 0; n--) this.addNode();
    this.#cluster.putQueue({ ...queue("default"), ...this.#order() });
    if (random.chance(0.7)) this.#tree();
    for (let n = random.between(1, 4); n > 0; n--) this.#addFramework(n);
    for (let n = random.between(1, 4); n > 0; n--) this.addTask();
  }

  addNode(): void {
    const name = `n${this.#nodes++}`;
    this.#cluster.putNode(this.#freshNode(name));
  }

  addTask(): void {
    const random = this.#random;
    const framework = random.pick([...this.#cluster.frameworks.values()]);
    if (framework === undefined) return;
    const queue = random.chance(0.3) ? { queue: random.pick(framework.queues)!.name } : {};
    for (const kind of together(random, `g${this.#tasks}`)) this.#put({ ...kind, ...queue }, framework);
  }

  #put(kind: Together & Pick<TaskFacts, "queue">, framework: FrameworkFacts): void {
    const random = this.#random;
    const [namespace] = framework.key.split("/") as [string];
    const name = `t${this.#tasks++}`;
    const template = `${namespace}/${random.between(1, 4)}`;
    const task: TaskFacts = {
      key: `${namespace}/${name}`,
      uid: `${name}uid`,
      framework: framework.key,
      ...kind,
      templateKey: template,
      requests: this.#requests(template),
      ...(random.chance(0.2) ? { parallelism: Math.max(minimumOf(kind), random.between(1, 3)) } : {}),
      priority: random.between(0, 2),
      ...this.#constraints(),
      retry: {
        limit: random.between(0, 3),
        backoffMs: random.pick([0, 500, 4_000])!,
        maxBackoffMs: 10_000,
        onNodeLost: random.chance(0.6) ? "Retry" : "Never",
      },
      ...(random.chance(0.2) ? { ttlAfterFinishedMs: 20_000 } : {}),
      createdAtMs: this.#schedule.nowMs,
      deleting: false,
    };
    this.#cluster.putTask(canAnswer(task, framework));
  }

  /** One whim. */
  disturb(): void {
    const random = this.#random;
    const whims: Record<string, () => void> = {
      node: () => this.#disturbNode(),
      foreign: () => this.#disturbForeign(),
      task: () => this.#disturbTask(),
      framework: () => this.#disturbFramework(),
      queue: () => this.#disturbQueue(),
      newTask: () => this.addTask(),
    };
    whims[random.weighted({ node: 4, foreign: 3, task: 3, framework: 2, queue: 2, newTask: 3 })]!();
  }

  /** All is as it should be, so that every task can finish. */
  calm(): void {
    this.#calm = true;
    const cluster = this.#cluster;
    for (const uid of [...cluster.foreign.keys()]) cluster.removeForeign(uid);
    for (const [key, made] of [...cluster.templates]) if (typeof made === "string") cluster.templates.delete(key);
    for (const { closed: _, settledAtMs: __, ...node } of [...cluster.nodes.values()]) {
      cluster.putNode({ ...node, ready: true, taints: [] });
    }
    for (const zone of ZONES) {
      const name = `calm-${zone}`;
      cluster.putNode({
        ...this.#freshNode(name),
        taints: [],
        labels: { zone, disk: "ssd" },
        allocatable: capacity(20_000, 20_000, 40, 8),
      });
    }
    if (!cluster.queues.has("default")) cluster.putQueue(queue("default"));
    for (const { name, parent, order, fairResource } of [...cluster.queues.values()]) {
      const above = parent !== undefined && name !== "top" && parent === "top" ? { parent } : {};
      const orders = { ...(order && { order }), ...(fairResource && { fairResource }) };
      cluster.putQueue({ ...queue(name), ...orders, ...(cluster.queues.has("top") ? above : {}) });
    }
    for (const { facts } of [...cluster.tasks.values()]) this.#restore(facts);
    for (const { uid } of brokenGroups(cluster)) cluster.removeTask(uid);
    for (const framework of [...cluster.frameworks.values()]) {
      const { constraints: _, ...rest } = framework;
      cluster.putFramework({ ...rest, suppressed: false, demand: [], minimum: {}, revive: framework.revive + 1 });
      for (const { name } of framework.queues) if (!cluster.queues.has(name)) cluster.putQueue(queue(name));
    }
  }

  /** What its tasks are in need of is there. */
  #restore(task: TaskFacts): void {
    const [namespace] = task.framework.split("/") as [string];
    if (!this.#cluster.frameworks.has(task.framework)) {
      this.#cluster.putFramework(framework(task.framework, this.#cluster.uid("framework"), ["default"]));
    }
    const { queues } = this.#cluster.frameworks.get(task.framework)!;
    if (task.queue === undefined || queues.some(({ name }) => name === task.queue)) return;
    const facts = this.#cluster.frameworks.get(`${namespace}/${task.framework.split("/")[1]}`)!;
    this.#cluster.putFramework({ ...facts, queues: [...queues, { name: task.queue, weight: 1 }] });
  }

  #tree(): void {
    const random = this.#random;
    this.#cluster.putQueue({ ...queue("top"), ...this.#order(), limit: random.chance(0.3) ? { cpu: 12_000 } : {} });
    for (const name of ["left", "right"]) {
      this.#cluster.putQueue({
        ...queue(name),
        ...this.#order(),
        parent: "top",
        weight: random.between(1, 3),
        guarantee: random.chance(0.5) ? { cpu: random.between(1, 4) * 1_000 } : {},
        reclaim: this.#reclaim(),
        limit: random.chance(0.5) ? { cpu: random.between(4, 10) * 1_000, memory: 20_000 } : {},
      });
    }
  }

  #reclaim(): ReclaimFacts {
    const random = this.#random;
    return {
      ...(random.chance(0.7) && { graceMs: random.pick([0, 2_000, 10_000])! }),
      ...(random.chance(0.3) && { minimumRuntimeMs: random.pick([1_000, 5_000])! }),
    };
  }

  #order(): QueueOrder {
    return randomOrder(this.#random);
  }

  #addFramework(n: number): void {
    const random = this.#random;
    const names = random.shuffled([...this.#cluster.queues.keys()].filter((name) => name !== "top"));
    const key = `${random.pick(NAMESPACES)}/f${n}`;
    const facts = framework(key, this.#cluster.uid("framework"), names.slice(0, random.between(1, names.length)));
    this.#cluster.putFramework({
      ...facts,
      scheduler: random.chance(0.6) ? "Offers" : "Builtin",
      placement: random.pick(["BinPack", "Spread", "unknown"])!,
      concurrency: random.chance(0.35) ? "Optimistic" : "Exclusive",
      optimistic: this.#raceRules(),
      offerTimeoutMs: random.pick([2_000, 10_000, 30_000])!,
      maxOutstanding: random.between(1, 4),
      slack: random.pick([1, 1, 2, 1.5])!,
      minimum: random.chance(0.2) ? { cpu: 1_500 } : {},
      unreachableAfterMs: random.pick([0, 5_000, 60_000])!,
    });
  }

  /** One of the four modes. */
  #raceRules(): RaceRules {
    const random = this.#random;
    return {
      conflict: random.chance(0.5) ? "Version" : "ResourceFit",
      transaction: random.chance(0.5) ? "AllOrNothing" : "Incremental",
    };
  }

  #freshNode(name: string): NodeFacts {
    const random = this.#random;
    return {
      name,
      uid: this.#cluster.uid("node"),
      allocatable: capacity(
        random.between(1, 4) * 2_000,
        random.between(1, 4) * 2_000,
        random.between(3, 20),
        random.pick([0, 0, 2])!,
      ),
      labels: { zone: random.pick(ZONES)!, disk: random.pick(["ssd", "hdd"])! },
      taints: random.chance(0.15) ? [{ key: "dedicated", value: "x", effect: "NoSchedule" }] : [],
      ready: true,
      ...(random.chance(0.1) ? { closed: "settling" as const, settledAtMs: this.#schedule.nowMs + 5_000 } : {}),
    };
  }

  #requests(template: string): TaskFacts["requests"] {
    const known = this.#asked.get(template);
    if (known !== undefined) return known;
    const random = this.#random;
    const gpu = random.chance(0.2) ? { "example.com/gpu": 1 } : {};
    const asked = { cpu: random.pick([300, 1_000, 2_000])!, memory: random.pick([200, 1_000])!, pods: 1, ...gpu };
    this.#asked.set(template, asked);
    // A LimitRange may enlarge it, a quota refuse it.
    if (random.chance(0.15)) this.#cluster.templates.set(template, "a quota forbids it");
    else this.#cluster.templates.set(template, random.chance(0.2) ? { ...asked, memory: asked.memory + 100 } : asked);
    return asked;
  }

  #constraints(): { constraints?: Constraints } {
    const random = this.#random;
    const kinds: readonly Constraints[] = [
      { nodeSelector: { disk: "ssd" } },
      { nodeAffinity: [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a", "b"] }] }] },
      { tolerations: [{ key: "dedicated", operator: "Exists" }] },
      { spread: [{ topologyKey: "zone", maxSkew: 1, over: "Task" }] },
      { spread: [{ topologyKey: "zone", maxSkew: 2, over: "Framework" }] },
    ];
    return random.chance(0.4) ? { constraints: random.pick(kinds)! } : {};
  }

  #disturbNode(): void {
    const random = this.#random;
    const node = random.pick([...this.#cluster.nodes.values()]);
    if (node === undefined || random.chance(0.15)) {
      this.addNode();
      return;
    }
    const { closed, settledAtMs: _, ...rest } = node;
    const whims: Record<string, () => void> = {
      remove: () => this.#cluster.removeNode(node.name),
      replace: () => {
        this.#cluster.removeNode(node.name);
        this.#cluster.putNode(this.#freshNode(node.name));
      },
      cordon: () => this.#cluster.putNode(closed === undefined ? { ...rest, closed: "cordoned" } : rest),
      ready: () => this.#cluster.putNode({ ...node, ready: !node.ready }),
      resize: () => this.#cluster.putNode({ ...node, allocatable: this.#freshNode(node.name).allocatable }),
      label: () => this.#cluster.putNode({ ...node, labels: this.#freshNode(node.name).labels }),
      taint: () => this.#cluster.putNode({ ...node, taints: this.#freshNode(node.name).taints }),
    };
    whims[random.weighted({ remove: 1, replace: 1, cordon: 2, ready: 3, resize: 2, label: 1, taint: 1 })]!();
  }

  #disturbForeign(): void {
    const random = this.#random;
    const known = random.pick([...this.#cluster.foreign.values()]);
    if (known !== undefined && random.chance(0.4)) {
      this.#cluster.removeForeign(known.uid);
      return;
    }
    if (known !== undefined && random.chance(0.3)) {
      this.#cluster.putForeign({ ...known, requests: { ...known.requests, cpu: random.between(1, 4) * 700 } });
      return;
    }
    const node = random.pick([...this.#cluster.nodes.keys()]) ?? "nowhere";
    const requests = { cpu: random.between(1, 4) * 700, memory: random.between(1, 4) * 500, pods: 1 };
    this.#cluster.putForeign({ uid: this.#cluster.uid("foreign"), node, requests });
  }

  #disturbTask(): void {
    const random = this.#random;
    const task = random.pick([...this.#cluster.tasks.values()])?.facts;
    if (task === undefined) return;
    const whims: Record<string, () => void> = {
      killAll: () => this.#cluster.putTask({ ...task, kill: {} }),
      killSome: () => this.#cluster.putTask({ ...task, kill: { indexes: `0,${random.between(1, 6)}` } }),
      priority: () => this.#cluster.putTask({ ...task, priority: random.between(0, 5) }),
      parallelism: () =>
        this.#cluster.putTask({ ...task, parallelism: Math.max(minimumOf(task), random.between(1, 4)) }),
      deleting: () => {
        this.#cluster.putTask({ ...task, deleting: true });
        this.#schedule.in(random.between(1, 5_000), () => this.#cluster.removeTask(task.uid));
      },
      remove: () => this.#cluster.removeTask(task.uid),
      deletePod: () => this.#deletePod(task),
      resizePod: () => this.#resizePod(task),
    };
    const weights = {
      killAll: 1,
      killSome: 1,
      priority: 1,
      parallelism: 1,
      deleting: 1,
      remove: 1,
      deletePod: 3,
      resizePod: 2,
    };
    whims[random.weighted(weights)]!();
  }

  #podOf(task: TaskFacts): PodFacts | undefined {
    const pods = [...this.#cluster.pods.values()].filter(({ facts }) => facts.taskUid === task.uid);
    return this.#random.pick(pods)?.facts;
  }

  /** In place, as Kubernetes allows. */
  #resizePod(task: TaskFacts): void {
    const pod = this.#podOf(task);
    if (pod === undefined) return;
    const requests = { ...pod.requests, cpu: this.#random.pick([100, 300, 1_200])! };
    this.#cluster.patchPod(pod.key, pod.uid, { requests });
  }

  #deletePod(task: TaskFacts): void {
    const pod = this.#podOf(task);
    if (pod !== undefined) this.#cluster.deletePod(pod.key, pod.uid, this.#random.pick([0, undefined]));
  }

  #disturbFramework(): void {
    const random = this.#random;
    const framework = random.pick([...this.#cluster.frameworks.values()]);
    if (framework === undefined) return;
    const put = (change: Partial<FrameworkFacts>) => this.#cluster.putFramework({ ...framework, ...change });
    const whims: Record<string, () => void> = {
      suppress: () => put({ suppressed: !framework.suppressed }),
      revive: () => put({ revive: framework.revive + 1 }),
      weigh: () => put({ queues: framework.queues.map(({ name }) => ({ name, weight: random.between(1, 4) })) }),
      reorder: () => put({ queues: random.shuffled(framework.queues) }),
      outstanding: () => put({ maxOutstanding: random.between(1, 4) }),
      concurrency: () => put({ concurrency: framework.concurrency === "Exclusive" ? "Optimistic" : "Exclusive" }),
      raceRules: () => put({ optimistic: this.#raceRules() }),
      demand: () => put({ demand: [{ instances: random.between(1, 3), resources: { cpu: 500, memory: 100 } }] }),
      noDemand: () => put({ demand: [] }),
      constrain: () => put({ constraints: { nodeSelector: { disk: random.pick(["ssd", "hdd"])! } } }),
      remove: () => this.#cluster.removeFramework(framework.key),
    };
    const whim = random.pick(Object.keys(whims))!;
    whims[whim]!();
    if (whim !== "remove") return;
    this.#schedule.in(random.between(1, 20_000), () => {
      if (!this.#calm && !this.#cluster.frameworks.has(framework.key)) put({ uid: this.#cluster.uid("framework") });
    });
  }

  #disturbQueue(): void {
    const random = this.#random;
    const known = random.pick([...this.#cluster.queues.values()]);
    if (known === undefined) return;
    const { parent, ...rest } = known;
    const put = (change: Partial<QueueFacts>) => this.#cluster.putQueue({ ...known, ...change });
    const whims: Record<string, () => void> = {
      limit: () => put({ limit: random.chance(0.5) ? {} : { cpu: random.between(1, 8) * 1_000 } }),
      guarantee: () => put({ guarantee: random.chance(0.5) ? {} : { cpu: random.between(1, 4) * 1_000 } }),
      weigh: () => put({ weight: random.between(1, 4) }),
      order: () => put(this.#order()),
      reclaim: () => put({ reclaim: this.#reclaim() }),
      maxTasks: () => put({ maxTasks: random.between(1, 4) }),
      maxPriority: () => put({ maxPriority: random.between(0, 3) }),
      namespaces: () => put({ namespaces: random.chance(0.5) ? ["*"] : ["red"] }),
      loop: () => put({ parent: random.pick([...this.#cluster.queues.keys(), "missing"])! }),
      unhang: () => this.#cluster.putQueue(rest),
      remove: () => this.#cluster.removeQueue(known.name),
    };
    const whim = random.pick(Object.keys(whims))!;
    whims[whim]!();
    if (whim !== "remove") return;
    this.#schedule.in(random.between(1, 20_000), () => {
      if (!this.#calm && !this.#cluster.queues.has(known.name))
        this.#cluster.putQueue({ ...rest, ...(parent && { parent }) });
    });
  }
}

export function randomOrder(random: Random): QueueOrder {
  return { order: random.pick(ORDERS)!, fairResource: random.pick(["cpu", "memory", "example.com/gpu"])! };
}
