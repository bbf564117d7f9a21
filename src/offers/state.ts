import { Framework } from "./framework.ts";
import { Holds } from "./holds.ts";
import { Ledger } from "./ledger.ts";
import { Lines } from "./lines.ts";
import type { Effect } from "./messages.ts";
import { Levels } from "./nodes/levels.ts";
import { NodeTable } from "./nodes/nodes.ts";
import { ShapeTable } from "./nodes/shapes.ts";
import type { Offer } from "./offer.ts";
import type { BrokerOptions } from "./options.ts";
import { Descent } from "./queues/descent.ts";
import { QueueTree } from "./queues/queues.ts";
import { Room } from "./queues/room.ts";
import { Refusals } from "./refusals.ts";
import { type Quantities, ResourceTable } from "./resources.ts";
import { Changes } from "./structures/changes.ts";
import { Timers } from "./structures/timers.ts";
import type { Task } from "./tasks/task.ts";
import type { EndedOffer } from "./views.ts";

/** What the API server makes of a template's pods. */
export type Sizing =
  | { readonly name: "asked" }
  | { readonly name: "sized"; readonly requests: Quantities }
  | { readonly name: "refused"; readonly message: string };

/** Everything the broker knows, shared by its rooms; each part has its own rules and its own file. */
export class State {
  readonly options: BrokerOptions;
  readonly resources = new ResourceTable();
  readonly nodes: NodeTable;
  readonly ledger: Ledger;
  readonly tree: QueueTree;
  readonly shapes: ShapeTable;
  readonly lines: Lines;
  readonly refusals: Refusals;
  readonly room: Room;
  readonly holds: Holds;
  readonly policy: Descent;
  readonly levels: ReadonlyMap<string, Levels>;
  readonly timers = new Timers();
  readonly frameworks = new Map<string, Framework>();
  readonly tasks = new Map<string, Task>();
  readonly tasksByKey = new Map<string, Task>();
  readonly offers = new Map<string, Offer>();
  /** Exclusive ones past what is pending, oldest first. */
  readonly slackOffers = new Set<Offer>();
  readonly sizings = new Map<string, Sizing>();
  readonly endedOffers: EndedOffer[] = [];
  /** All facts are in; offers may be made. */
  opened = false;
  /** Offers may be published. */
  publishing = true;
  /** Something changed that a round may turn into a grant. */
  dirty = false;
  nowMs = 0;
  counters = {
    rounds: 0,
    grants: 0,
    lostRaces: 0,
    passedHolds: 0,
    inverseOffers: 0,
    inverseOfferEnds: { accepted: 0, refused: 0, declined: 0, expired: 0, rescinded: 0 },
    evictions: 0,
  };
  #effects: Effect[] = [];
  readonly #changedTasks = new Changes();
  readonly #urgentTasks = new Changes();
  readonly #changedFrameworks = new Changes();
  readonly #changedQueues = new Changes();
  readonly #urgentQueues = new Changes();

  constructor(options: BrokerOptions) {
    this.options = options;
    this.nodes = new NodeTable(this.resources, options.headroom);
    this.ledger = new Ledger(this.nodes);
    this.tree = new QueueTree(this.resources, options.top);
    this.shapes = new ShapeTable(this.nodes);
    this.lines = new Lines(this.shapes);
    this.refusals = new Refusals(this.nodes);
    this.room = new Room(this.tree, this.lines, this.nodes, ({ framework }) => {
      const known = this.frameworks.get(framework);
      return known?.facts !== undefined && !known.facts.suppressed && !known.isAway;
    });
    this.holds = new Holds(this);
    this.policy = new Descent(this.tree.root, this.nodes, this.lines);
    this.levels = new Map(
      Object.entries(options.placements).map(([name, placement]) => [name, new Levels(this.nodes, placement)]),
    );
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** What is to be done since the last call; each status that changed once, after all that is to happen first. */
  drainEffects(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    for (const uid of this.#changedTasks.drain()) {
      effects.push({ type: "task-changed", uid, urgent: this.#urgentTasks.has(uid) });
    }
    this.#urgentTasks.drain();
    for (const key of this.#changedFrameworks.drain()) effects.push({ type: "framework-changed", key });
    for (const name of this.#changedQueues.drain()) {
      effects.push({ type: "queue-changed", name, urgent: this.#urgentQueues.has(name) });
    }
    this.#urgentQueues.drain();
    return effects;
  }

  framework(key: string): Framework {
    let framework = this.frameworks.get(key);
    if (framework === undefined) {
      framework = new Framework(key);
      this.frameworks.set(key, framework);
    }
    return framework;
  }

  /** Nothing is left of the task, and perhaps of its framework. */
  forgetTask(task: Task): void {
    const { key, framework } = task.facts;
    this.tasks.delete(task.uid);
    if (this.tasksByKey.get(key) === task) this.tasksByKey.delete(key);
    this.framework(framework).tasks.delete(task);
    this.frameworkChanged(framework);
    this.forgetFramework(framework);
  }

  /** Nothing is left of a framework whose object is gone: tenants choose the names that Tasks give. */
  forgetFramework(key: string): void {
    const framework = this.frameworks.get(key);
    if (framework === undefined || framework.facts !== undefined) return;
    if (framework.tasks.size > 0 || framework.offers.size > 0) return;
    this.refusals.clear(framework);
    this.frameworks.delete(key);
  }

  /** The status of the Task, its framework and its queues shows something else now; urgent: it has ended. */
  taskChanged(task: Task, urgent = false): void {
    this.#changedTasks.add(task.uid);
    if (urgent) this.#urgentTasks.add(task.uid);
    this.frameworkChanged(task.facts.framework);
  }

  frameworkChanged(key: string): void {
    if (!this.#changedFrameworks.add(key)) return;
    for (const { name } of this.frameworks.get(key)?.facts?.queues ?? []) this.queueChanged(name);
  }

  queueChanged(name: string): void {
    if (this.#changedQueues.has(name)) return;
    for (const queue of this.tree.path(this.tree.queues.get(name))) this.#changedQueues.add(queue.name);
  }

  /** Others use the queue, or the queues above it, than before: admission goes by that, so it is told at once. */
  queueUseChanged(name: string): void {
    this.queueChanged(name);
    for (const queue of this.tree.path(this.tree.queues.get(name))) this.#urgentQueues.add(queue.name);
  }
}
