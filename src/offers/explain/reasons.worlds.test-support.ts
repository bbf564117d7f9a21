import { Bench } from "../broker.test-support.ts";
import type { Outlook, TaskView } from "../views.ts";
import type { Reason, WAITING_REASONS } from "./reasons.ts";

export type WaitingReason = keyof typeof WAITING_REASONS | "node-lost";

/** A small world in which Task `team/train` waits for a reason, with what the broker says of it. */
export interface Shown {
  readonly reason: Reason;
  readonly message: string;
  readonly view: TaskView;
  readonly outlook: Outlook;
}

const cores = (n: number) => ({ cpu: 1000 * n });

/** Where Task `t` of framework `f` waits; a queue `default` for everybody is there. */
type Scene = (made: Bench) => unknown;

/** Queue `gold` is guaranteed the cluster, and `batch` has it all; each of its tasks may run for a while at least. */
const borrowed = (made: Bench, minimumRuntimeMs: number) => {
  made.queue("gold", { guarantee: cores(4) }).queue("batch", { reclaim: { minimumRuntimeMs } });
  made.node("node-a", cores(4)).framework("f", { queues: [{ name: "gold", weight: 1 }] });
  made.framework("batch", { queues: [{ name: "batch", weight: 1 }] });
  made.asking("long", cores(2), { of: "batch", instances: 2 }).settle().asking("t", cores(2)).settle();
};

/**
 * For each reason that something waits for a world where it does. Whoever adds a reason adds a world here: a test sees
 * that none is missing, and the reference shows what people are told in it.
 */
export const WORLDS: { readonly [R in WaitingReason]?: Scene } = {
  "invalid-task": (made) =>
    made.framework("f").task("t", { invalid: "spec.template.spec.hostNetwork: is not allowed" }),
  "template-refused": (made) => {
    made.held.add("size-template");
    made.framework("f").task("t");
    const message = 'admission webhook "images.example.com" denied the request: no tag';
    made.apply({ type: "template-refused", templateKey: "ns/plain", message });
  },
  "unknown-framework": (made) => made.task("t", { of: "absent" }),
  "unknown-queue": (made) => made.framework("f", { queues: [{ name: "gold", weight: 1 }] }).task("t"),
  "queue-not-allowed": (made) =>
    made
      .queue("default", { namespaces: ["research"] })
      .framework("f")
      .task("t"),
  "queue-invalid": (made) =>
    made
      .queue("q", { parent: "absent" })
      .framework("f", { queues: [{ name: "q", weight: 1 }] })
      .task("t"),
  "priority-too-high": (made) => made.queue("default", { maxPriority: 10 }).framework("f").task("t", { priority: 100 }),
  "too-many-tasks": (made) => made.queue("default", { maxTasks: 1 }).framework("f").task("first").task("t"),
  suppressed: (made) => made.framework("f", { suppressed: true }).task("t"),
  disconnected: (made) => {
    made.framework("f", { scheduler: "Offers", failover: { timeoutMs: 3_600_000, policy: "Orphan" } }).task("t");
    const lease = { key: "ns/proffer-f", framework: "ns/f", renewedAtMs: made.nowMs, durationMs: 30_000 };
    made.apply({ type: "lease-observed", lease: { ...lease, released: false } });
    made.wait(30_000);
  },
  sizing: (made) => {
    made.held.add("size-template");
    made.framework("f").task("t");
  },
  "back-off": (made) => {
    const retry = { limit: 3, backoffMs: 10_000, maxBackoffMs: 300_000, onNodeLost: "Never" } as const;
    made.framework("f").node("node-a", cores(4)).asking("t", cores(1), { retry }).settle();
    made.pod("t-0-0", { phase: "Failed", started: true, reason: "Error", exitCode: 1 });
  },
  "node-lost": (made) => {
    const retry = { limit: 0, backoffMs: 10_000, maxBackoffMs: 300_000, onNodeLost: "Retry" } as const;
    made.framework("f").node("node-a", cores(4)).asking("t", cores(1), { retry }).settle();
    made.pod("t-0-0", { phase: "Running", started: true });
    made.apply({ type: "node-gone", name: "node-a" });
    made.wait(120_000);
  },
  "quota-exceeded": (made) => {
    made.held.add("create-pod");
    made.framework("f").node("node-a", cores(4)).asking("t", cores(1)).settle();
    const message = "exceeded quota: team, requested: pods=1, used: pods=20, limited: pods=20";
    const attempt = { taskUid: "t-uid", index: 0, attempt: 0 };
    made.apply({ type: "pod-refused", attempt, message, byQuota: true });
  },
  parallelism: (made) => {
    made.framework("f").node("node-a", cores(8));
    made.asking("t", cores(1), { instances: 5, parallelism: 2, durationMs: 600_000 }).settle();
    for (const index of [0, 1]) made.pod(`t-${index}-0`, { phase: "Running", started: true });
  },
  "not-published": (made) => {
    made.framework("f", { scheduler: "Offers" }).node("node-a", cores(4));
    made.apply({ type: "publishing", allowed: false });
    made.task("t");
  },
  "waiting-for-answer": (made) =>
    made.framework("f", { scheduler: "Offers" }).node("node-a", cores(4)).asking("t", cores(2)),
  "asked-back": (made) => borrowed(made, 0),
  "minimum-runtime": (made) => borrowed(made, 600_000),
  "no-node": (made) => {
    made.framework("f").node("node-a", cores(4)).node("node-b", cores(2));
    made.asking("runs", { cpu: 1500 }, { durationMs: 3_600_000 }).settle();
    made.pod("runs-0-0", { phase: "Running", started: true });
    made.asking("first", cores(4), { durationMs: 600_000 });
    made.asking("t", cores(4), { createdAtMs: made.nowMs + 1 });
  },
  "over-limit": (made) => {
    made.queue("research", { limit: cores(6) }).node("node-a", cores(32));
    made.framework("f", { queues: [{ name: "research", weight: 1 }] });
    made.asking("runs", cores(5)).asking("t", cores(2), { createdAtMs: made.nowMs + 1 });
  },
  "kept-back": (made) => {
    made
      .queue("gold", { guarantee: cores(8) })
      .queue("batch")
      .node("node-a", cores(10));
    made.framework("gold", { queues: [{ name: "gold", weight: 1 }], scheduler: "Offers", maxOutstanding: 1 });
    made.framework("f", { queues: [{ name: "batch", weight: 1 }] });
    made.asking("one", cores(4), { of: "gold" }).settle().asking("two", cores(4), { of: "gold" }).settle();
    made.asking("t", cores(3));
  },
  "in-line": (made) => {
    made.node("node-a", cores(8)).framework("f").framework("other");
    made.asking("runs", cores(2)).settle();
    made.asking("waits", cores(1), { of: "other" }).asking("t", cores(1), { createdAtMs: made.nowMs + 1 });
  },
  "group-invalid": (made) => {
    made.framework("f").node("node-a", cores(8));
    for (const name of ["driver", "workers"]) made.asking(name, cores(1), { group: { name: "train", size: 2 } });
    made.asking("t", cores(1), { group: { name: "train", size: 2 }, createdAtMs: made.nowMs + 1 });
  },
  "gang-not-ready": (made) =>
    made
      .framework("f")
      .node("node-a", cores(8))
      .asking("t", cores(1), { group: { name: "train", size: 2 } }),
  "gang-too-large": (made) =>
    made
      .framework("f")
      .node("node-a", cores(4))
      .asking("t", cores(2), { instances: 5, gang: { minimum: 5 } }),
  "gang-starting": (made) => {
    made.held.add("create-pod");
    made.framework("f").node("node-a", cores(8));
    made.asking("t", cores(1), { instances: 5, gang: { minimum: 3 } });
  },
  "gang-too-wide": (made) => {
    made.framework("f", { scheduler: "Offers" });
    for (let n = 0; n < 70; n++) made.node(`node-${n}`, cores(1));
    made.asking("t", cores(1), { instances: 70, gang: { minimum: 70 } });
  },
  gathering: (made) => {
    made.framework("f").framework("other").node("node-a", cores(4));
    made.asking("runs", cores(1), { of: "other", durationMs: 3_600_000 }).settle();
    made.pod("runs-0-0", { phase: "Running", started: true });
    made
      .asking("t", cores(1), { instances: 4, gang: { minimum: 4 } })
      .settle()
      .wait(301_000);
  },
  "not-starting": (made) => {
    made.framework("f").node("node-a", cores(4)).asking("t", cores(1)).settle();
    made.pod("t-0-0", { reason: "ErrImagePull", message: "pull access denied for registry.example.com/train:3" });
  },
};

/** Between rounds, where the next one would serve it. */
const UNDECIDED: ReadonlySet<string> = new Set(["in-line"]);

/** What is told in the reason's world; undefined for a reason without one. */
export function show(reason: WaitingReason): Shown | undefined {
  const scene = WORLDS[reason];
  if (scene === undefined) return undefined;
  const made = Bench.open();
  scene(made);
  if (!UNDECIDED.has(reason)) made.settle();
  const { broker } = made;
  const [view, why] = [broker.taskView("t-uid")!, broker.explainTask("t-uid")!];
  return { ...why, view, outlook: broker.outlookOfTask("t-uid", why, made.nowMs)! };
}
