import { binPack } from "../src/frameworks/placement/bin-pack.ts";
import { spread } from "../src/frameworks/placement/spread.ts";
import { Broker } from "../src/offers/broker.ts";
import type { Effect, FrameworkFacts, Input, OfferDraft, TaskFacts } from "../src/offers/messages.ts";
import type { BrokerOptions } from "../src/offers/options.ts";
import type { QueueFacts } from "../src/offers/queues/queue-facts.ts";
import type { Quantities } from "../src/offers/resources.ts";

/** Memory is counted in KiB. */
export const GIB = 1024 * 1024;

export interface WorldOptions extends Pick<BrokerOptions, "holdAfterMs"> {
  readonly nodes: number;
  /** Of each node, in millicores. */
  readonly cpu: number;
  /** So many of them have the label hall: "true". Default none. */
  readonly hall?: number;
  /** They have the label block, of so many values in turn. Default none. */
  readonly blocks?: number;
}

/** A broker with its nodes, in virtual time. Nothing is offered before the input `opened`. */
export class World {
  readonly broker: Broker;
  nowMs = 0;

  constructor({ nodes, cpu, hall = 0, blocks = 0, holdAfterMs }: WorldOptions) {
    this.broker = new Broker({
      term: "1",
      placements: { BinPack: { score: binPack, rotate: false }, Spread: { score: spread, rotate: true } },
      ...(holdAfterMs !== undefined && { holdAfterMs }),
    });
    for (let i = 0; i < nodes; i++) {
      const allocatable = { cpu, memory: 128 * GIB, pods: 110 };
      const labels = { zone: `${i % 3}`, hall: `${i < hall}`, ...(blocks > 0 && { block: `${i % blocks}` }) };
      const node = { name: `n${i}`, uid: `u${i}`, allocatable, labels, taints: [], ready: true };
      this.apply({ type: "node-observed", node });
    }
  }

  apply(input: Input): Effect[] {
    return this.broker.apply(input, this.nowMs);
  }

  /** A second later. */
  tick(): Effect[] {
    this.nowMs += 1_000;
    return this.apply({ type: "tick" });
  }

  queue(name: string, facts: Partial<QueueFacts> = {}): void {
    const plain = { name, weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] };
    this.apply({ type: "queue-observed", queue: { ...plain, ...facts } });
  }

  /** A framework of the Offers kind in queue `default`, unless its facts say otherwise. */
  framework(name: string, facts: Partial<FrameworkFacts> = {}): void {
    const plain: FrameworkFacts = {
      key: `ns/${name}`,
      uid: name,
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
    };
    this.apply({ type: "framework-observed", framework: { ...plain, ...facts } });
  }

  /** A Task whose pods ask for what it asks for. */
  task(name: string, of: string, requests: Quantities, facts: Partial<TaskFacts> = {}): void {
    const templateKey = `template-${requests.cpu}`;
    const plain: TaskFacts = {
      key: `ns/${name}`,
      uid: name,
      framework: `ns/${of}`,
      templateKey,
      requests,
      instances: 1,
      priority: 0,
      retry: { limit: 0, backoffMs: 1, maxBackoffMs: 1, onNodeLost: "Never" },
      createdAtMs: this.nowMs,
      deleting: false,
    };
    this.apply({ type: "task-observed", task: { ...plain, ...facts } });
    this.apply({ type: "template-sized", templateKey, requests });
  }

  /** The pod of a created attempt is seen. */
  pod(
    { attempt, ...created }: Launch,
    requests: Quantities,
    phase: "Running" | "Succeeded",
    startedAtMs?: number,
  ): Effect[] {
    const name = `${attempt.taskUid}-${attempt.index}-${attempt.attempt}`;
    const { node, queue, framework } = created;
    const life = { phase, deleting: false, tracked: true, started: true };
    const started = startedAtMs === undefined ? {} : { startedAtMs };
    const pod = { uid: name, key: `ns/${name}`, ...attempt, node, queue, framework, requests, ...life, ...started };
    return this.apply({ type: "pod-observed", pod });
  }

  /** An offer's whole life after it was made: published, answered, closed. */
  answer(offer: OfferDraft, given: Answer): Effect[] {
    const { key, framework, queue, term, slices } = offer;
    const answer = { by: "me", refuseMs: 0, launches: [], ...given };
    this.apply({ type: "offer-published", key, uid: key });
    const effects = this.apply({
      type: "offer-observed",
      offer: { key, uid: key, framework, queue, term, phase: "Open", slices, answer },
    });
    return [...effects, ...this.apply({ type: "offer-closed", key })];
  }
}

export type Launch = Extract<Effect, { type: "create-pod" }>;

export interface Answer {
  readonly decision: "Accept" | "Decline";
  readonly launches?: readonly { readonly task: string; readonly slice: string; readonly count: number }[];
  readonly refuseMs?: number;
}

export function launchesOf(effects: readonly Effect[]): Launch[] {
  return effects.flatMap((effect) => (effect.type === "create-pod" ? [effect] : []));
}

export function offersOf(effects: readonly Effect[]): OfferDraft[] {
  return effects.flatMap((effect) => (effect.type === "publish-offer" ? [effect.offer] : []));
}
