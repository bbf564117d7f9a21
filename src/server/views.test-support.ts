import {
  type ClusterView,
  type FrameworkView,
  NO_INSTANCES,
  type Outlook,
  type QueueView,
  type TaskView,
} from "../offers/views.ts";
import type { ExplainSource } from "./explain.ts";
import type { MetricViews } from "./metrics.ts";

function frameworkView(key: string, changes: Partial<FrameworkView> = {}): FrameworkView {
  return {
    key,
    queue: "default",
    dominantShare: 0,
    counts: NO_INSTANCES,
    offers: { open: 0, accepted: 0, declined: 0, expired: 0, rescinded: 0, refused: 0 },
    allocated: {},
    offered: {},
    held: {},
    demand: {},
    vainTurns: 0,
    lowered: [],
    why: { reason: "no-demand", message: "Nothing is waiting." },
    ...changes,
  };
}

function queueView(name: string, changes: Partial<QueueView> = {}): QueueView {
  return {
    name,
    weight: 1,
    guarantee: {},
    limit: {},
    allocated: {},
    offered: {},
    held: {},
    demand: {},
    dominantShare: 0,
    fairnessError: 0,
    frameworks: 0,
    queues: 0,
    counts: { pending: 0, running: 0 },
    inForce: true,
    ...changes,
  };
}

export function taskView(changes: Partial<TaskView> = {}): TaskView {
  return {
    version: 1,
    state: "Pending",
    instances: 1,
    counts: { ...NO_INSTANCES, pending: 1 },
    succeededIndexes: "",
    failedIndexes: "",
    attempts: [],
    lastFailures: [],
    ...changes,
  };
}

/** A broker that shows what a test put into it. */
export class FakeBroker implements MetricViews, ExplainSource {
  readonly frameworkViews = new Map<string, FrameworkView>();
  readonly queueViews = new Map<string, QueueView>();
  /** By "namespace/name", which is also the UID here. */
  readonly taskViews = new Map<string, TaskView>();
  cluster: ClusterView = {
    nodes: { open: 0, closed: 0, overfull: 0 },
    allocatable: {},
    foreign: {},
    allocated: {},
    offered: {},
    held: {},
    free: {},
    openOffers: 0,
    rounds: 0,
    grants: 0,
    lostRaces: 0,
    passedHolds: 0,
    inverseOffers: 0,
    inverseOfferEnds: { accepted: 0, refused: 0, declined: 0, expired: 0, rescinded: 0 },
    evictions: 0,
    inconsistencies: 0,
  };

  addFramework(key: string, changes: Partial<FrameworkView> = {}): void {
    this.frameworkViews.set(key, frameworkView(key, changes));
  }

  addQueue(name: string, changes: Partial<QueueView> = {}): void {
    this.queueViews.set(name, queueView(name, changes));
  }

  frameworks = (): string[] => [...this.frameworkViews.keys()];
  queues = (): string[] => [...this.queueViews.keys()];
  frameworkView = (key: string) => this.frameworkViews.get(key);
  queueView = (name: string) => this.queueViews.get(name);
  clusterView = () => this.cluster;
  taskUid = (key: string) => (this.taskViews.has(key) ? key : undefined);
  taskView = (uid: string) => this.taskViews.get(uid);
  outlook: Outlook | undefined;
  outlookOfTask = () => this.outlook;
  explainTask = () => ({ reason: "no-node", message: "14 nodes: 9 lack cpu (needs 4, largest free 2500m)" }) as const;
}
