import { binPack } from "../src/frameworks/placement/bin-pack.ts";
import { spread } from "../src/frameworks/placement/spread.ts";
import { Broker } from "../src/offers/broker.ts";
import type { Effect, FrameworkFacts, Input, OfferDraft, TaskFacts } from "../src/offers/messages.ts";
import type { Figure } from "./figures.ts";
import { median } from "./statistics.ts";

const NODES = 10_000;
const FRAMEWORKS = 1_000;
const CYCLES = 60;
/** Instances that each framework wishes for in each cycle. */
const WISHES = 10;
const GIB = 1024 * 1024;

/** The pure broker at 10,000 nodes and 1,000 frameworks: a full cycle, and how soon one freed task is offered again. */
export async function brokerFigures(): Promise<Figure[]> {
  const cycle = cycleSeconds();
  const reoffer = reofferMs();
  return [
    { name: "broker_cycle_s", value: cycle, unit: "s", target: "≤ 0.2", reference: 1.06, ratio: cycle / 1.06 },
    { name: "broker_reoffer_ms", value: reoffer, unit: "ms", target: "≤ 1" },
  ];
}

/** A broker with its nodes, one queue, and virtual time. */
class World {
  readonly broker = new Broker({
    term: "1",
    placements: { BinPack: { score: binPack, rotate: false }, Spread: { score: spread, rotate: true } },
  });
  nowMs = 0;

  constructor(cpuPerNode: number) {
    this.apply({
      type: "queue-observed",
      queue: { name: "default", weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] },
    });
    for (let i = 0; i < NODES; i++) {
      const allocatable = { cpu: cpuPerNode, memory: 128 * GIB, pods: 110 };
      this.apply({
        type: "node-observed",
        node: { name: `n${i}`, uid: `u${i}`, allocatable, labels: { zone: `${i % 3}` }, taints: [], ready: true },
      });
    }
  }

  apply(input: Input): Effect[] {
    return this.broker.apply(input, this.nowMs);
  }

  tick(): Effect[] {
    this.nowMs += 1_000;
    return this.apply({ type: "tick" });
  }
}

function framework(i: number, facts: Partial<FrameworkFacts>): Input {
  return {
    type: "framework-observed",
    framework: {
      key: `ns/f${i}`,
      uid: `f${i}`,
      queues: [{ name: "default", weight: 1 }],
      scheduler: "Offers",
      placement: "",
      concurrency: "Exclusive",
      offerTimeoutMs: 3_600_000,
      maxOutstanding: 16,
      slack: 1,
      minimum: {},
      suppressed: false,
      revive: 0,
      demand: [],
      answerers: ["me"],
      unreachableAfterMs: 60_000,
      ...facts,
    },
  };
}

function task(name: string, i: number, requests: Record<string, number>, instances: number): Input {
  const facts: TaskFacts = {
    key: `ns/${name}`,
    uid: name,
    framework: `ns/f${i}`,
    templateKey: `template-${requests.cpu}`,
    requests,
    instances,
    priority: 0,
    retry: { limit: 0, backoffMs: 1, maxBackoffMs: 1, onNodeLost: "Never" },
    createdAtMs: 0,
    deleting: false,
  };
  return { type: "task-observed", task: facts };
}

/** A pod of the effect's attempt, in some phase. */
function pod(effect: Extract<Effect, { type: "create-pod" }>, requests: Record<string, number>, over: boolean): Input {
  const { taskUid, index, attempt } = effect.attempt;
  const name = `${taskUid}-${index}-${attempt}`;
  return {
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
      phase: over ? "Succeeded" : "Running",
      deleting: false,
      tracked: true,
      requests,
      started: true,
    },
  };
}

/**
 * A round, then every offer answered: two frameworks of three decline for an hour (by the last cycle about 400,000 filters
 * stand), one accepts, and what it accepted ends two cycles later. 1,000 different shapes. The median of the last twenty.
 */
function cycleSeconds(): number {
  const world = new World(32_000);
  const requests = (i: number) => ({ cpu: 1_000 + i, memory: GIB, pods: 1 });
  for (let i = 0; i < FRAMEWORKS; i++) {
    const resources = requests(i);
    world.apply(framework(i, i % 3 === 0 ? {} : { demand: [{ instances: WISHES, resources }] }));
    if (i % 3 !== 0) continue;
    world.apply(task(`t${i}`, i, resources, WISHES * CYCLES));
    world.apply({ type: "template-sized", templateKey: `template-${resources.cpu}`, requests: resources });
  }
  world.apply({ type: "opened" });
  const running: { effect: Extract<Effect, { type: "create-pod" }>; cycle: number }[] = [];
  let ended = 0;
  const seconds: number[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const startMs = performance.now();
    const offers = world.tick().flatMap((effect) => (effect.type === "publish-offer" ? [effect.offer] : []));
    for (const offer of offers) {
      for (const effect of answer(world, offer)) if (effect.type === "create-pod") running.push({ effect, cycle });
    }
    seconds.push((performance.now() - startMs) / 1_000);
    for (; ended < running.length && running[ended]!.cycle < cycle - 1; ended++) {
      const { effect } = running[ended]!;
      world.apply(pod(effect, requests(Number(effect.framework.slice(4))), true));
    }
  }
  return median(seconds.slice(-20));
}

function answer(world: World, offer: OfferDraft): Effect[] {
  const i = Number(offer.framework.slice(4));
  const launches = offer.slices.slice(0, WISHES).map(({ name, resources }) => ({
    task: `t${i}`,
    slice: name,
    count: Math.min(WISHES, Math.floor(resources.pods ?? 1)),
  }));
  const decision = i % 3 === 0 ? "Accept" : "Decline";
  const facts = { key: offer.key, uid: offer.key, framework: offer.framework, queue: offer.queue, term: offer.term };
  const given = {
    by: "me",
    decision,
    launches: decision === "Accept" ? launches : [],
    refuseMs: decision === "Accept" ? 0 : 3_600_000,
  } as const;
  world.apply({ type: "offer-published", key: offer.key, uid: offer.key });
  const effects = world.apply({
    type: "offer-observed",
    offer: { ...facts, phase: "Open", slices: offer.slices, answer: given },
  });
  return [...effects, ...world.apply({ type: "offer-closed", key: offer.key })];
}

/** A full cluster and 1,000 frameworks that want more: from the end of one task to its room being offered. Median of 200. */
function reofferMs(): number {
  const world = new World(1_000);
  const requests = { cpu: 1_000, memory: GIB, pods: 1 };
  world.apply(framework(FRAMEWORKS, { scheduler: "Builtin", placement: "BinPack" }));
  world.apply(task("filler", FRAMEWORKS, requests, NODES));
  world.apply({ type: "template-sized", templateKey: `template-${requests.cpu}`, requests });
  world.apply({ type: "opened" });
  const placed = world.tick().flatMap((effect) => (effect.type === "create-pod" ? [effect] : []));
  for (const effect of placed) world.apply(pod(effect, requests, false));
  for (let i = 0; i < FRAMEWORKS; i++) {
    world.apply(
      framework(i, { demand: [{ instances: 1 + (i % 7), resources: { ...requests, cpu: 500 + (i % 50) } }] }),
    );
  }
  world.tick();
  const times = placed.slice(0, 200).map((effect) => {
    world.nowMs += 1_000;
    const startMs = performance.now();
    world.apply(pod(effect, requests, true));
    const offered = world.apply({ type: "tick" }).some(({ type }) => type === "publish-offer");
    if (!offered) throw new Error("the room of a task that has ended was not offered");
    return performance.now() - startMs;
  });
  return median(times);
}

if (import.meta.main) for (const figure of await brokerFigures()) console.log(JSON.stringify(figure));
