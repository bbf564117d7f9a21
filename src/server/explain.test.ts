import { describe, expect, test } from "vitest";
import { REASONS } from "../offers/explain/reasons.ts";
import { type FailureView, NO_INSTANCES } from "../offers/views.ts";
import { explain } from "./explain.ts";
import { FakeBroker, taskView } from "./views.test-support.ts";

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const train = { namespace: "team-a", name: "train" };
const failure: FailureView = {
  index: 7,
  attempt: 1,
  node: "node-3",
  reason: "exit-code",
  message: "container main ended with 137",
  exitCode: 137,
  atMs: nowMs - 60_000,
};

describe("of a task", () => {
  test("the state, the reason with its meaning, and what to do", () => {
    const broker = new FakeBroker();
    broker.taskViews.set(
      "team-a/train",
      taskView({ instances: 10, counts: { ...NO_INSTANCES, pending: 3, running: 7 }, lastFailures: [failure] }),
    );
    const document = explain(broker, "task", train, nowMs)!;
    expect(document.text).toBe(
      [
        "Task team-a/train: Pending",
        "  Instances:   10 (pending 3, running 7)",
        "  Why:         no-node: 14 nodes: 9 lack cpu (needs 4, largest free 2500m)",
        "  Means:       No node fits.",
        `  What to do:  ${REASONS["no-node"][1]}`,
        "  Failure:     2026-01-02T03:03:05.000Z index 7, attempt 1 on node-3: exit-code: container main ended with 137",
        "",
      ].join("\n"),
    );
    expect(document.json).toMatchObject({
      kind: "Task",
      namespace: "team-a",
      name: "train",
      at: "2026-01-02T03:04:05.000Z",
      state: "Pending",
      instances: 10,
      counts: { pending: 3, running: 7 },
      why: { reason: "no-node", meaning: "No node fits.", page: "docs/reference/reasons.md#no-node" },
      lastFailures: [{ index: 7, exitCode: 137, at: "2026-01-02T03:03:05.000Z" }],
    });
  });

  test("when it may start, and what must change", () => {
    const broker = new FakeBroker();
    broker.taskViews.set("team-a/train", taskView());
    const place = { tasks: 2, instances: 5, levels: [{ queue: "research", before: 1, of: 3 }] };
    const parts = [{ type: "node", node: "n", more: { cpu: 1_500 }, orLess: true }] as const;
    broker.outlook = { when: { place, estimateMs: nowMs + 60_000 }, change: { parts, text: "1.5 cpu more on node n" } };
    const { json, text } = explain(broker, "task", train, nowMs)!;
    expect(json).toMatchObject({
      when: { place, estimate: "2026-01-02T03:05:05.000Z" },
      change: { parts, text: "1.5 cpu more on node n" },
    });
    expect(text).toContain("  Place:       2 tasks of its shape before it; 1 stand before it in queue research\n");
    expect(text).toContain("  When:        foreseen for 2026-01-02T03:05:05.000Z\n");
    expect(text).toContain("  Change:      1.5 cpu more on node n\n");
  });

  test("that nobody can say when", () => {
    const broker = new FakeBroker();
    broker.taskViews.set("team-a/train", taskView());
    broker.outlook = { when: { unknown: "2 of the 3 instances in its way state no duration" } };
    const { json, text } = explain(broker, "task", train, nowMs)!;
    expect(text).toContain("  When:        not known: 2 of the 3 instances in its way state no duration\n");
    expect(text).not.toMatch(/Place|Change/);
    expect(json).toMatchObject({ when: { unknown: "2 of the 3 instances in its way state no duration" } });
  });

  test("of which nothing waits is told no time", () => {
    const broker = new FakeBroker();
    broker.taskViews.set("team-a/train", taskView({ counts: { ...NO_INSTANCES, running: 1 } }));
    broker.outlook = { when: { unknown: "not asked for" } };
    expect(explain(broker, "task", train, nowMs)!.text).not.toContain("When");
  });

  test("that cannot take part says why, not what it waits for", () => {
    const broker = new FakeBroker();
    const rejected = { reason: "unknown-queue", message: "queue gold does not exist" } as const;
    broker.taskViews.set("team-a/train", taskView({ rejected }));
    expect(explain(broker, "task", train, nowMs)!.json).toMatchObject({ why: rejected });
  });

  test("that the broker does not know is nothing", () => {
    expect(explain(new FakeBroker(), "task", train, nowMs)).toBeUndefined();
  });

  test("whose message tries to forge a line stays on its line (guards T18)", () => {
    const broker = new FakeBroker();
    const message = "died\n  Why: all is well\u001b[2J\u2028";
    broker.taskViews.set("team-a/train", taskView({ lastFailures: [{ ...failure, message }] }));
    const { text } = explain(broker, "task", train, nowMs)!;
    expect(text.split("\n").filter((line) => line.includes("Why:"))).toHaveLength(2);
    expect(text.match(/^ {2}Why:/gm)).toHaveLength(1);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });
});

test("of a framework: shares, instances, offers and resources as Kubernetes writes them", () => {
  const broker = new FakeBroker();
  broker.addFramework("team-a/etl", {
    queue: "research",
    dominantShare: 0.1234,
    counts: { ...NO_INSTANCES, running: 2 },
    offers: { open: 1, accepted: 5, declined: 0, expired: 0, rescinded: 0, refused: 0 },
    allocated: { cpu: 1_500, memory: 4 * 1_048_576 },
    held: { cpu: 500 },
    demand: { "nvidia.com/gpu": 2 },
  });
  const document = explain(broker, "framework", { namespace: "team-a", name: "etl" }, nowMs)!;
  expect(document.json).toMatchObject({
    kind: "Framework",
    queue: "research",
    allocated: { cpu: "1500m", memory: "4Gi" },
    offered: {},
    held: { cpu: "500m" },
    demand: { "nvidia.com/gpu": "2" },
    why: { reason: "no-demand" },
  });
  expect(document.text).toContain("Framework team-a/etl in queue research\n  Dominant share:  12.3 %\n");
  expect(document.text).toContain("  Offers:          open 1, accepted 5\n");
  expect(document.text).toContain(
    "  Allocated:       cpu 1500m, memory 4Gi\n  Offered:         nothing\n  Held:            cpu 500m\n",
  );
});

test("of a queue: its place, its bounds and what is wrong with it", () => {
  const broker = new FakeBroker();
  broker.addQueue("research", {
    parent: "science",
    weight: 3,
    limit: { cpu: 8_000 },
    frameworks: 2,
    counts: { pending: 4, running: 0 },
    rejected: { reason: "queue-invalid", message: "its parent science does not exist" },
  });
  const document = explain(broker, "queue", { name: "research" }, nowMs)!;
  expect(document.json).toMatchObject({
    kind: "Queue",
    name: "research",
    parent: "science",
    guarantee: {},
    limit: { cpu: "8" },
    why: { reason: "queue-invalid" },
  });
  expect(document.text).toMatch(/^Queue research below science, weight 3\n {2}Limit: +cpu 8\n/);
  expect(document.text).toContain("queue-invalid: its parent science does not exist");
});

test("of a queue in order there is no reason, and no limit means none", () => {
  const broker = new FakeBroker();
  broker.addQueue("research");
  const { json, text } = explain(broker, "queue", { name: "research" }, nowMs)!;
  expect(json).not.toHaveProperty("why.reason");
  expect(text).not.toContain("Why");
  expect(text).toMatch(/Limit: +none/);
});
