import type { Effect, Input, PodFacts } from "../offers/messages.ts";
import type { Quantities } from "../offers/resources.ts";
import { parseIndexes } from "../offers/structures/indexes.ts";
import { check } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import { GangChecks } from "./gang-checks.ts";
import { Guarantees } from "./guarantees.ts";
import type { Leader } from "./leader.ts";
import type { Programs } from "./programs.ts";
import { checkQueues } from "./queue-checks.ts";

/** What must hold, whatever happens. Each check throws with what is wrong. */
export class Checks {
  readonly #cluster: Cluster;
  readonly #gangs: GangChecks;
  readonly #programs: Programs;
  readonly guarantees: Guarantees;
  /** "task/index" -> UIDs of pods that live; every pod that succeeded. */
  readonly #live = new Map<string, Set<string>>();
  readonly #succeeded = new Map<string, Set<string>>();
  /** Task -> when the last pod of it ended otherwise, by index. */
  readonly #ended = new Set<string>();
  readonly #doubtful = new Set<string>();
  readonly #closed = new Map<string, string>();
  steps = 0;
  counts = { creates: 0, offers: 0, closes: 0, rounds: 0, terms: 0, idle: 0 };

  constructor(cluster: Cluster, programs: Programs) {
    this.#cluster = cluster;
    this.#gangs = new GangChecks(cluster);
    this.#programs = programs;
    this.guarantees = new Guarantees(cluster);
    cluster.watch(({ input }) => {
      if (input.type === "pod-observed") this.#podSeen(input.pod);
      if (input.type === "pod-gone") {
        this.#podOver(input.pod);
        if (input.pod.phase !== "Succeeded") this.#ended.add(`${input.pod.taskUid}/${input.pod.index}`);
      }
      if (input.type === "offer-observed" && input.offer.phase !== "Open") {
        const known = this.#closed.get(input.offer.uid);
        check(known === undefined || known === input.offer.phase, `offer ${input.offer.key} ended twice`);
        this.#closed.set(input.offer.uid, input.offer.phase);
      }
    });
  }

  #podSeen(pod: PodFacts): void {
    const key = `${pod.taskUid}/${pod.index}`;
    if (pod.phase === "Succeeded" || pod.phase === "Failed") {
      this.#podOver(pod);
      // A lost one, deleted by force, may end well after all: whoever heard of it in time may count it.
      if (pod.phase === "Succeeded" && pod.forced === true) this.#doubtful.add(key);
      else if (pod.phase === "Succeeded")
        this.#succeeded.set(key, (this.#succeeded.get(key) ?? new Set()).add(pod.uid));
      else this.#ended.add(key);
      check((this.#succeeded.get(key)?.size ?? 0) <= 1, `${key} succeeded twice`);
      return;
    }
    if (pod.forced === true) this.#ended.add(key);
    const live = this.#live.get(key) ?? new Set();
    this.#live.set(key, live.add(pod.uid));
    check(live.size === 1, `${key} has ${live.size} live pods`);
  }

  #podOver(pod: PodFacts): void {
    this.#live.get(`${pod.taskUid}/${pod.index}`)?.delete(pod.uid);
  }

  /** After every input. */
  step(leader: Leader, input: Input, effects: readonly Effect[], nowMs: number): void {
    const { broker } = leader;
    this.steps++;
    if (effects.length > 0) {
      const { inconsistencies } = broker.clusterView();
      check(inconsistencies === 0, `the ledger differs on ${inconsistencies} nodes from its claims`);
    }
    const granted = this.#granted(effects);
    if (granted.length > 0) this.#room(leader, granted);
    for (const effect of effects) {
      if (effect.type === "create-pod") this.#launched(effect);
      if (effect.type === "publish-offer" && effect.offer.inverse === undefined) {
        this.#offered(effect.offer.framework, nowMs);
      }
      if (effect.type === "close-offer") this.counts.closes++;
    }
    this.guarantees.step(leader, effects);
    if (input.type.startsWith("queue-") || input.type === "opened") checkQueues(broker);
    if (input.type !== "tick") return;
    this.counts.rounds++;
    if (broker.nextTickMs(nowMs) > nowMs + 50) this.settled(broker, nowMs, "right after a round");
  }

  /** Unless a round is due, one from scratch finds nothing to do. */
  settled(broker: Leader["broker"], nowMs: number, when: string): void {
    const missed = broker.recheck(nowMs).filter(({ type }) => !type.endsWith("-changed"));
    check(missed.length === 0, `${when}, another finds: ${JSON.stringify(missed).slice(0, 600)}`);
  }

  #granted(effects: readonly Effect[]): { node: string; queue: string }[] {
    return effects.flatMap((effect) => {
      if (effect.type === "create-pod") return [{ node: effect.node, queue: effect.queue }];
      if (effect.type !== "publish-offer" || effect.offer.concurrency !== "Exclusive") return [];
      if (effect.offer.inverse !== undefined) return [];
      return effect.offer.slices.map(({ node }) => ({ node, queue: effect.offer.queue }));
    });
  }

  /** Where something was granted, nothing is over-full, and no queue on the way up is over its limit. */
  #room({ broker, nodes }: Leader, granted: readonly { node: string; queue: string }[]): void {
    const sums = new Map<string, Record<string, number>>();
    for (const { node, resources } of broker.claims()) addTo(sums, node, resources);
    for (const { node, queue } of granted) {
      const total = nodes.get(node)?.allocatable ?? {};
      for (const [name, amount] of Object.entries(sums.get(node) ?? {})) {
        check(amount <= (total[name] ?? 0), `granted on ${node}, where ${name} is over-full`);
      }
      for (let at = broker.queueView(queue); at !== undefined; at = broker.queueView(at.parent ?? "")) {
        for (const [name, limit] of Object.entries(at.limit)) {
          const used = (at.allocated[name] ?? 0) + (at.offered[name] ?? 0) + (at.held[name] ?? 0);
          check(used <= limit, `queue ${at.name} was granted ${name} up to ${used}, its limit is ${limit}`);
        }
      }
    }
  }

  /** What a leader knows of a Lease may be old, but never newer than the Lease: a program that is missed is offered nothing. */
  #offered(framework: string, nowMs: number): void {
    this.counts.offers++;
    const lease = this.#cluster.leases.get(framework);
    const isMissed = lease !== undefined && !lease.released && lease.renewedAtMs + lease.durationMs <= nowMs;
    check(!isMissed, `an offer is made to ${framework}, whose Lease has run out`);
  }

  #launched({ attempt: { taskUid, index, attempt } }: Extract<Effect, { type: "create-pod" }>): void {
    this.counts.creates++;
    const key = `${taskUid}/${index}`;
    check(!this.#succeeded.has(key), `${key}, attempt ${attempt}, is launched though it succeeded`);
  }

  /** Nothing is under way: what the ledger holds is what there is. */
  idle({ broker }: Leader, nowMs: number): void {
    this.counts.idle++;
    const expected = new Map<string, string>();
    for (const { uid, node, requests } of this.#cluster.foreign.values()) {
      expected.set(`pod/${uid}`, line("foreign", node, requests));
    }
    for (const { facts } of this.#cluster.pods.values()) {
      if (facts.phase === "Succeeded" || facts.phase === "Failed") continue;
      expected.set(`${facts.taskUid}/${facts.index}/${facts.attempt}`, line("task", facts.node, facts.requests));
    }
    for (const { facts, draft } of this.#cluster.offers.values()) {
      if (facts.phase !== "Open" || draft.concurrency !== "Exclusive" || draft.inverse !== undefined) continue;
      for (const { name, node, resources } of facts.slices) {
        expected.set(`offer/${facts.key}/${name}`, line("offer", node, resources));
      }
    }
    // What is held for somebody is in nobody's books but the leader's.
    const claims = [...broker.claims()].filter(({ kind }) => kind !== "hold");
    const held = claims.map(({ kind, node, resources }) => line(kind, node, resources)).sort();
    const there = [...expected.values()].sort();
    const missing = there.filter((entry, i) => held[i] !== entry);
    check(
      held.length === there.length && missing.length === 0,
      `nothing is under way, but the ledger holds ${JSON.stringify([...broker.claims()])} and there is ${JSON.stringify([...expected])}`,
    );
    this.#gangs.idle();
    this.settled(broker, nowMs, "when nothing is under way");
  }

  /** All is calm and has been for long: every task has ended, every index is accounted for, all finalizers are gone. */
  end({ broker }: Leader): void {
    for (const { facts, status } of this.#cluster.tasks.values()) {
      const view = broker.taskView(facts.uid);
      const why = JSON.stringify([view, broker.explainTask(facts.uid)]);
      check(view !== undefined && ["Finished", "Failed", "Killed", "Lost"].includes(view.state), `unfinished: ${why}`);
      check(status?.version !== undefined && status.state === view.state, `status of ${facts.key} is not the last`);
      const succeeded = parseIndexes(view.succeededIndexes, facts.instances);
      const failed = parseIndexes(view.failedIndexes, facts.instances);
      for (let index = 0; index < facts.instances; index++) {
        const key = `${facts.uid}/${index}`;
        const did = this.#succeeded.has(key);
        check(succeeded.has(index) !== failed.has(index), `${key} is not in exactly one set: ${why}`);
        check(
          did === succeeded.has(index) || this.#doubtful.has(key),
          `${key} succeeded: ${did}, the status says otherwise: ${why}`,
        );
        if (failed.has(index)) check(this.#mayFail(facts, index, key), `${key} failed without cause: ${why}`);
      }
      const { finished, failed: ended, killed, lost } = view.counts;
      check(finished + ended + killed + lost === facts.instances, `counts of ${facts.key} do not add up: ${why}`);
    }
    for (const { facts } of this.#cluster.pods.values()) {
      check(!facts.tracked && facts.phase !== "Pending", `pod ${facts.key} is still there: ${JSON.stringify(facts)}`);
    }
  }

  #mayFail(facts: { kill?: unknown; framework: string }, _index: number, key: string): boolean {
    if (this.#programs.wasOverdue(facts.framework)) return true;
    return facts.kill !== undefined || this.#ended.has(key) || this.refused.has(key);
  }

  /** Indexes a create of which the API server has refused. */
  readonly refused = new Set<string>();
}

function line(kind: string, node: string, resources: Quantities): string {
  const parts = Object.entries(resources).filter(([, amount]) => amount !== 0);
  return `${kind} ${node} ${JSON.stringify(parts.sort())}`;
}

function addTo(sums: Map<string, Record<string, number>>, node: string, resources: Quantities): void {
  const sum = sums.get(node) ?? {};
  sums.set(node, sum);
  for (const [name, amount] of Object.entries(resources)) sum[name] = (sum[name] ?? 0) + amount;
}
