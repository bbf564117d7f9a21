import { Bidders } from "./bidders.ts";
import { Explain } from "./explain/explain.ts";
import { ExplainWaits } from "./explain/explain-waits.ts";
import { Outlooks } from "./explain/outlook.ts";
import type { Framework } from "./framework.ts";
import { Frameworks } from "./frameworks.ts";
import { GangBounds } from "./gangs/gang-bounds.ts";
import { GangStarts } from "./gangs/gang-starts.ts";
import { LongWaits } from "./gangs/long-waits.ts";
import type { Effect, Input } from "./messages.ts";
import { Capacity } from "./nodes/capacity.ts";
import { Offers } from "./offers.ts";
import type { BrokerOptions } from "./options.ts";
import { Programs } from "./presence.ts";
import { Reclaim } from "./reclaim/reclaim.ts";
import { Round, type Unmet } from "./round.ts";
import { Slack } from "./slack.ts";
import { State } from "./state.ts";
import { unreachable } from "./structures/assert.ts";
import type { Alarm } from "./structures/timers.ts";
import { Summary } from "./summary.ts";
import { Assignment } from "./tasks/assignment.ts";
import { Tasks } from "./tasks/tasks.ts";
import type {
  ClaimView,
  ClusterView,
  EndedOffer,
  Explanation,
  FrameworkView,
  Outlook,
  QueueView,
  TaskView,
} from "./views.ts";

/** Shapes without users that are kept for the next task like them. */
const IDLE_SHAPES = 256;

/** What the shell sees of the broker. */
export interface BrokerContract {
  apply(input: Input, nowMs: number): Effect[];
  /** When the next `tick` is due, Infinity for never. */
  nextTickMs(nowMs: number): number;
  taskView(uid: string): TaskView | undefined;
  explainTask(uid: string, nowMs: number): Explanation | undefined;
  frameworkView(key: string, nowMs: number): FrameworkView | undefined;
  queueView(name: string): QueueView | undefined;
  /** Names of all frameworks and queues known. */
  frameworks(): string[];
  queues(): string[];
  clusterView(): ClusterView;
  drainEndedOffers(): EndedOffer[];
}

/**
 * The broker: takes an input and a time, updates one ledger, and returns effects. No clock, no chance, no I/O: the same
 * inputs give the same effects.
 */
export class Broker implements BrokerContract {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #tasks: Tasks;
  readonly #offers: Offers;
  readonly #frameworks: Frameworks;
  readonly #programs: Programs;
  readonly #explain: Explain;
  readonly #outlooks: Outlooks;
  readonly #summary: Summary;
  readonly #bidders: Bidders;
  readonly #round: Round;
  readonly #gangs: GangStarts;
  readonly #longWaits: LongWaits;
  readonly #slack: Slack;
  readonly #reclaim: Reclaim;
  readonly #capacity: Capacity;
  #lastRoundMs = Number.NEGATIVE_INFINITY;

  constructor(options: BrokerOptions) {
    this.#state = new State(options);
    this.#assignment = new Assignment(this.#state);
    this.#tasks = new Tasks(this.#state, this.#assignment);
    this.#offers = new Offers(this.#state, this.#tasks, this.#assignment);
    this.#programs = new Programs(this.#state, this.#offers, this.#tasks);
    this.#frameworks = new Frameworks(this.#state, this.#assignment, this.#offers, this.#programs);
    this.#capacity = new Capacity(this.#state, this.#tasks, this.#offers, () => this.#frameworks.namesLearned());
    this.#reclaim = new Reclaim(this.#state, this.#assignment, this.#offers);
    this.#slack = new Slack(this.#state, (offer) =>
      this.#offers.rescind(offer, { reason: "rescinded", message: "others have real demand" }),
    );
    this.#bidders = new Bidders(this.#state, this.#tasks, this.#offers);
    const { nodes, shapes, lines, room, policy } = this.#state;
    this.#gangs = new GangStarts(this.#state, this.#assignment, (claimant) => this.#bidders.of(claimant));
    const bounds = new GangBounds(this.#state);
    this.#longWaits = new LongWaits(this.#state, this.#gangs, bounds);
    this.#outlooks = new Outlooks(this.#state, this.#assignment, this.#longWaits);
    const waits = new ExplainWaits(this.#state, this.#assignment, this.#bidders, bounds, this.#longWaits);
    this.#explain = new Explain(this.#state, waits, this.#reclaim);
    this.#summary = new Summary(this.#state, this.#explain, this.#frameworks);
    this.#round = new Round(nodes, shapes, lines, room, policy, this.#gangs);
  }

  /** What to do now that `input` has happened at `nowMs`. Time never goes back: an earlier `nowMs` counts as the last. */
  apply(input: Input, nowMs: number): Effect[] {
    this.#state.nowMs = Math.max(this.#state.nowMs, nowMs);
    (this.#handlers[input.type] as (input: Input) => void)(input);
    this.#state.nodes.prune();
    return this.#state.drainEffects();
  }

  /** When the next `tick` is due; Infinity for never. */
  nextTickMs(nowMs: number): number {
    const { dirty, opened, timers, refusals } = this.#state;
    const round = dirty && opened ? Math.max(nowMs, this.#lastRoundMs + this.#minIntervalMs) : Infinity;
    // A wait that is long enough makes for a round, which is due anyway then.
    const wait = dirty ? Infinity : this.#longWaits.nextMs;
    return Math.min(round, timers.nextMs, refusals.nextMs, wait);
  }

  taskView(uid: string): TaskView | undefined {
    return this.#state.tasks.get(uid)?.view();
  }

  /** Instances of a Task that wait; 0 for one that is not known. Cheap. */
  pendingOf(uid: string): number {
    return this.#state.tasks.get(uid)?.pending ?? 0;
  }

  explainTask(uid: string): Explanation | undefined {
    const task = this.#state.tasks.get(uid);
    return task === undefined ? undefined : this.#explain.task(task);
  }

  /** The shape of a Task's instances: equal numbers, equal shapes. A reason is another one for another shape. */
  shapeOf(uid: string): number | undefined {
    return this.#state.tasks.get(uid)?.shape?.id;
  }

  /** When what waits of a Task may start, and what would start it: `explanation` is what `explainTask` gave just now. */
  outlookOfTask(uid: string, explanation: Explanation, nowMs: number): Outlook | undefined {
    const task = this.#state.tasks.get(uid);
    return task === undefined ? undefined : this.#outlooks.task(task, explanation, nowMs);
  }

  frameworkView(key: string): FrameworkView | undefined {
    const framework = this.#state.frameworks.get(key);
    return framework === undefined ? undefined : this.#summary.framework(framework);
  }

  queueView(name: string): QueueView | undefined {
    const queue = this.#state.tree.queues.get(name);
    return queue === undefined ? undefined : this.#summary.queue(queue);
  }

  frameworks(): string[] {
    return [...this.#state.frameworks.values()].filter(({ facts }) => facts !== undefined).map(({ key }) => key);
  }

  queues(): string[] {
    return [...this.#state.tree.queues.keys()];
  }

  clusterView(): ClusterView {
    return this.#summary.cluster();
  }

  drainEndedOffers(): EndedOffer[] {
    return this.#state.endedOffers.splice(0);
  }

  /** For checks: every claim in the ledger. */
  *claims(): Generator<ClaimView> {
    for (const { id, kind, node, vector } of this.#state.ledger.claims()) {
      const resources = this.#state.resources.quantities(vector);
      yield { id, kind, node: this.#state.nodes.at(node).name, resources };
    }
  }

  /** For checks: refusal filters in force, each of one framework on one node. */
  get filters(): number {
    return this.#state.refusals.size;
  }

  /** For checks: a round though nothing has changed. What it emits, an earlier change should have led to. */
  recheck(nowMs: number): Effect[] {
    this.#state.dirty = true;
    this.#lastRoundMs = Number.NEGATIVE_INFINITY;
    return this.apply({ type: "tick" }, nowMs);
  }

  get #minIntervalMs(): number {
    return this.#state.options.roundMinIntervalMs ?? 50;
  }

  /** One handler for each kind of input; the compiler sees that none is missing. */
  readonly #handlers: { readonly [T in Input["type"]]: (input: Extract<Input, { type: T }>) => void } = {
    "node-observed": ({ node }) => this.#capacity.nodeObserved(node),
    "node-gone": ({ name }) => this.#capacity.nodeGone(name),
    "foreign-pod-observed": ({ pod }) => this.#capacity.foreignObserved(pod),
    "foreign-pod-gone": ({ uid }) => this.#capacity.foreignGone(uid),
    "queue-observed": ({ queue, recorded }) => this.#frameworks.observeQueue(queue, recorded),
    "queue-gone": ({ name }) => this.#frameworks.queueGone(name),
    "framework-observed": ({ framework }) => this.#frameworks.observe(framework),
    "framework-gone": ({ key }) => this.#frameworks.gone(key),
    "lease-observed": ({ lease }) => this.#programs.observe(lease),
    "lease-gone": ({ key }) => this.#programs.gone(key),
    "program-observed": ({ framework, awaySinceMs }) => this.#programs.podObserved(framework, awaySinceMs),
    "program-gone": ({ framework }) => this.#programs.podGone(framework),
    "absence-confirmed": ({ framework }) => this.#programs.confirmed(framework),
    "task-observed": ({ task }) => this.#tasks.observe(task),
    "task-gone": ({ uid }) => this.#tasks.gone(uid),
    "pod-observed": ({ pod }) => this.#capacity.podObserved(pod),
    "pod-created": ({ pod }) => this.#capacity.podObserved(pod),
    "pod-gone": ({ pod }) => this.#tasks.podGone(pod),
    "pod-refused": ({ attempt, message, byQuota }) => this.#tasks.podRefused(attempt, message, byQuota),
    "template-sized": ({ templateKey, requests }) => this.#assignment.sized(templateKey, requests),
    "template-refused": ({ templateKey, message, gone }) => this.#assignment.refused(templateKey, message, gone),
    "offer-observed": ({ offer }) => (offer.inverse === undefined ? this.#offers : this.#reclaim).observed(offer),
    "offer-gone": ({ key }) => (this.#reclaim.owns(key) ? this.#reclaim.unwritten(key) : this.#offers.gone(key)),
    "offer-published": ({ key, uid }) => this.#offers.published(key, uid),
    "offer-unpublished": ({ key, message }) =>
      this.#reclaim.owns(key) ? this.#reclaim.unwritten(key) : this.#offers.unpublished(key, message),
    "offer-closed": ({ key }) => (this.#reclaim.owns(key) ? this.#reclaim : this.#offers).closed(key),
    "task-recorded": ({ uid, version }) => this.#tasks.recorded(uid, version),
    publishing: ({ allowed }) => this.#publishing(allowed),
    opened: () => this.#open(),
    tick: () => this.#tick(),
  };

  #open(): void {
    this.#state.opened = true;
    this.#frameworks.opened();
    this.#assignment.opened();
    this.#tasks.opened();
    this.#offers.opened();
    this.#programs.opened();
    this.#capacity.opened();
    this.#state.dirty = true;
  }

  #publishing(allowed: boolean): void {
    this.#state.publishing = allowed;
    this.#state.dirty = true;
  }

  #tick(): void {
    for (let alarm = this.#state.timers.due(this.#state.nowMs); alarm !== undefined; ) {
      this.#ring(alarm);
      alarm = this.#state.timers.due(this.#state.nowMs);
    }
    if (this.#state.refusals.expire(this.#state.nowMs)) this.#state.dirty = true;
    if (this.#longWaits.nextMs <= this.#state.nowMs) this.#state.dirty = true;
    if (!this.#state.opened || !this.#state.dirty) return;
    if (this.#state.nowMs < this.#lastRoundMs + this.#minIntervalMs) return;
    this.#lastRoundMs = this.#state.nowMs;
    this.#runRound();
  }

  #runRound(): void {
    const { nodes, shapes, refusals, counters } = this.#state;
    this.#state.dirty = false;
    const gained = nodes.drainGained();
    shapes.gained(gained);
    const demanded = new Map<Framework, Float64Array[]>();
    const demandedBy = (framework: Framework) => {
      let requests = demanded.get(framework);
      if (requests === undefined) {
        requests = this.#demandedBy(framework);
        demanded.set(framework, requests);
      }
      return requests;
    };
    for (const node of gained) refusals.gained(node, demandedBy);
    const bidders = this.#bidders.begin();
    const started = this.#gangs.begin() + this.#longWaits.begin(bidders);
    const redeemed = started + this.#state.holds.redeem(bidders) + this.#gangs.redeem(bidders);
    this.#reclaim.begin(bidders);
    const grants = redeemed + this.#round.run(bidders, (unmet) => this.#unserved(unmet));
    // What was granted may have made room elsewhere, as when a guarantee is partly spent: again, until nothing is.
    if (grants > 0) this.#state.dirty = true;
    this.#offers.publishDrafts();
    this.#longWaits.end(bidders);
    this.#reclaim.end();
    counters.rounds++;
    counters.grants += grants;
    shapes.prune(IDLE_SHAPES);
  }

  /** Demand that the first pass could not serve. True if no slack is to be given out while it is being made room for. */
  #unserved(unmet: () => readonly Unmet[]): boolean {
    const waits = this.#slack.giveWay(unmet);
    this.#reclaim.plan(unmet);
    return waits;
  }

  #demandedBy({ key, facts }: Framework): Float64Array[] {
    return (facts?.queues ?? []).flatMap(({ name }) => {
      const claimant = this.#state.tree.claimants.get(`${key} ${name}`);
      return claimant === undefined ? [] : [...this.#state.lines.of(claimant)].map(({ request }) => request);
    });
  }

  #ring(alarm: Alarm): void {
    switch (alarm.type) {
      case "offer-expires":
        this.#offers.expired(alarm.key);
        break;
      case "penalty-ends":
      case "reclaim":
        this.#state.dirty = true;
        break;
      case "program-missed":
        this.#programs.missed(alarm.framework);
        break;
      case "back-off-ends":
        this.#tasks.backOffEnded(alarm.taskUid, alarm.index);
        break;
      case "quota-tried":
        this.#tasks.quotas.tryAgain(alarm.taskUid);
        break;
      case "template-retried":
        this.#assignment.retryTemplate(alarm.templateKey);
        break;
      case "node-settles":
        this.#capacity.nodeSettled(alarm.name);
        break;
      case "unreachable":
        this.#capacity.check(alarm.node);
        break;
      case "task-expires":
        this.#tasks.expired(alarm.taskUid);
        break;
      default:
        unreachable(alarm);
    }
  }
}
