import { Broker } from "../src/offers/broker.ts";
import type { Effect, FrameworkFacts, Input, TaskFacts } from "../src/offers/messages.ts";
import type { QueueFacts } from "../src/offers/queue-facts.ts";
import type { Figure } from "./figures.ts";
import { median } from "./statistics.ts";

const NODES = 10_000;
const BORROWERS = 99;
const RUNNING = 100_000;
const DECISIONS = 20;
/** Instances that have to be made room for in each decision: of 4 CPUs, where each borrowed one has 1. */
const WANTED = 25;
const GIB = 1024 * 1024;

/** A cluster as full as can be: everything that runs is borrowed, and one queue is guaranteed a part of it. */
class World {
  readonly broker = new Broker({ term: "1", placements: { First: { score: () => 0, rotate: true } } });
  nowMs = 0;

  constructor() {
    this.apply(queue("owner", { guarantee: { cpu: 4_000 * WANTED * DECISIONS } }));
    this.apply(framework("owner"));
    for (let i = 0; i < BORROWERS + 1; i++) {
      this.apply(queue(`b${i}`, {}));
      this.apply(framework(`b${i}`));
    }
    for (let i = 0; i < NODES; i++) {
      const allocatable = { cpu: 10_000, memory: 100 * GIB, pods: 110 };
      const node = { name: `n${i}`, uid: `u${i}`, allocatable, labels: {}, taints: [], ready: true };
      this.apply({ type: "node-observed", node });
    }
    this.apply({ type: "opened" });
  }

  apply(input: Input): Effect[] {
    return this.broker.apply(input, this.nowMs);
  }

  tick(): Effect[] {
    this.nowMs += 1_000;
    return this.apply({ type: "tick" });
  }

  /** Everything runs that there is room for, in queues above nothing, of ages and priorities of all kinds. */
  borrow(): void {
    const requests = { cpu: 1_000, memory: GIB, pods: 1 };
    for (let i = 0; i <= BORROWERS; i++) {
      this.apply(task(`t${i}`, `b${i}`, requests, RUNNING / (BORROWERS + 1), i % 7));
      this.apply({ type: "template-sized", templateKey: `template-${requests.cpu}`, requests });
    }
    for (const effect of this.tick()) {
      if (effect.type !== "create-pod") continue;
      const { taskUid, index, attempt } = effect.attempt;
      const name = `${taskUid}-${index}-${attempt}`;
      this.apply({
        type: "pod-observed",
        pod: {
          uid: name,
          key: `ns/${name}`,
          taskUid,
          index,
          attempt,
          node: effect.node,
          queue: effect.queue,
          framework: effect.framework,
          phase: "Running",
          deleting: false,
          tracked: true,
          requests,
          started: true,
          startedAtMs: this.nowMs - 1_000 * ((index * 7919) % 86_400),
        },
      });
    }
    while (this.broker.nextTickMs(this.nowMs) <= this.nowMs + 1_000) this.tick();
  }
}

/** How long a round takes that has to find room for 25 instances among 100,000 that run. The median of 20. */
export function reclaimFigure(): Figure {
  const world = new World();
  world.borrow();
  const requests = { cpu: 4_000, memory: GIB, pods: 1 };
  const times: number[] = [];
  for (let n = 0; n < DECISIONS; n++) {
    world.apply(task(`due${n}`, "owner", requests, WANTED, 0));
    world.apply({ type: "template-sized", templateKey: `template-${requests.cpu}`, requests });
    world.nowMs += 1_000;
    const startMs = performance.now();
    const effects = world.apply({ type: "tick" });
    times.push(performance.now() - startMs);
    const asked = effects.reduce(
      (sum, effect) => sum + (effect.type === "publish-offer" ? (effect.offer.inverse?.instances ?? 0) : 0),
      0,
    );
    if (asked < WANTED) throw new Error(`room was asked back for ${asked} instances, ${WANTED} want it`);
  }
  return {
    name: "broker_reclaim_ms",
    value: median(times),
    unit: "ms",
    target: "≤ 50",
    details: { worst: Math.max(...times) },
  };
}

function queue(name: string, change: Partial<QueueFacts>): Input {
  const facts = { name, weight: 1, guarantee: {}, limit: {}, namespaces: ["*"], ...change };
  return { type: "queue-observed", queue: facts };
}

function framework(name: string): Input {
  const facts: FrameworkFacts = {
    key: `ns/${name}`,
    uid: name,
    queues: [{ name, weight: 1 }],
    scheduler: "Builtin",
    placement: "First",
    concurrency: "Exclusive",
    offerTimeoutMs: 30_000,
    maxOutstanding: 16,
    slack: 1,
    minimum: {},
    suppressed: false,
    revive: 0,
    demand: [],
    answerers: [],
    unreachableAfterMs: 60_000,
  };
  return { type: "framework-observed", framework: facts };
}

function task(name: string, of: string, requests: Record<string, number>, instances: number, priority: number): Input {
  const facts: TaskFacts = {
    key: `ns/${name}`,
    uid: name,
    framework: `ns/${of}`,
    templateKey: `template-${requests.cpu}`,
    requests,
    instances,
    priority,
    retry: { limit: 0, backoffMs: 1, maxBackoffMs: 1, onNodeLost: "Never" },
    createdAtMs: 0,
    deleting: false,
  };
  return { type: "task-observed", task: facts };
}

if (import.meta.main) console.log(JSON.stringify(reclaimFigure()));
