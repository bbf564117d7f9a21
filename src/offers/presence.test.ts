import { describe, expect, test } from "vitest";
import { Bench, podFacts } from "./broker.test-support.ts";
import type { FrameworkFacts } from "./messages.ts";
import type { FailoverFacts, LeaseFacts } from "./program-facts.ts";

const DURATION_MS = 30_000;
const TIMEOUT_MS = 600_000;
const KILL: FailoverFacts = { timeoutMs: TIMEOUT_MS, policy: "Kill" };
const ORPHAN: FailoverFacts = { timeoutMs: TIMEOUT_MS, policy: "Orphan" };

/** The program of `of` renews its Lease now, or did when `change` says. */
function renew(made: Bench, change: Partial<LeaseFacts> & { readonly of?: string } = {}): Bench {
  const { of = "f", ...rest } = change;
  const lease = { key: `ns/${of}`, framework: `ns/${of}`, renewedAtMs: made.nowMs, durationMs: DURATION_MS };
  made.apply({ type: "lease-observed", lease: { ...lease, released: false, ...rest } });
  return made;
}

/** Time passes, with a renewal every 10 s. */
function live(made: Bench, ms: number): Bench {
  for (let left = ms; left > 0; left -= 10_000) renew(made.wait(Math.min(left, 10_000)));
  return made;
}

/** A framework whose program renews its Lease, on one node of two places; two of its task's four instances run. */
function half(failover: FailoverFacts = KILL, change: Partial<FrameworkFacts> = {}): Bench {
  const made = Bench.open()
    .node("n", { cpu: 4 })
    .framework("f", { scheduler: "Offers", offerTimeoutMs: 3_600_000, failover, ...change });
  renew(made).asking("t", { cpu: 1 }, { instances: 4 }).settle();
  made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 2 }]);
  for (const index of [0, 1]) made.pod(`t-${index}-0`, { phase: "Running", started: true });
  return made.settle();
}

const view = (made: Bench) => made.broker.taskView("t-uid")!;
const presence = (made: Bench, of = "f") => made.broker.frameworkView(`ns/${of}`)!.presence;
const events = (made: Bench) => made.all("event").map(({ reason }) => reason);

describe("a program that stops renewing its Lease", () => {
  test("loses its offers when the Lease ends, not before, and another has the room in the same instant", () => {
    const made = half();
    made.framework("other", { scheduler: "Offers" }).asking("o", { cpu: 2 }, { of: "other" }).settle();
    made.wait(DURATION_MS - 1);
    expect(made.openOffers()).toHaveLength(1);
    expect(made.openOffers("other")).toHaveLength(0);
    made.wait(1);
    expect(made.last("close-offer")).toMatchObject({ phase: "Rescinded", reason: "disconnected" });
    expect(made.openOffers()).toHaveLength(0);
    expect(made.openOffers("other")).toHaveLength(1);
    expect(presence(made)).toMatchObject({ state: "disconnected" });
  });

  test("is offered nothing, and its tasks run on", () => {
    const made = half().wait(TIMEOUT_MS);
    expect(made.openOffers()).toHaveLength(0);
    expect(made.all("delete-pod")).toHaveLength(0);
    expect(view(made)).toMatchObject({ counts: { running: 2, pending: 2 } });
  });

  test("is told of as the reason why nothing is offered", () => {
    const made = half().wait(DURATION_MS);
    const why = made.broker.explainTask("t-uid")!;
    expect(why).toMatchObject({ reason: "disconnected" });
    expect(made.broker.frameworkView("ns/f")!.why).toMatchObject({ reason: "disconnected" });
    const { change } = made.broker.outlookOfTask("t-uid", why, made.nowMs)!;
    expect(change!.text).toBe("the program of framework ns/f, there again");
    expect(presence(made)!.message).toBe(
      "Lease ns/f ran out at 22:13:50Z; its tasks are kept until 22:23:50Z (failoverTimeoutSeconds 600), then killed",
    );
    expect(events(made)).toEqual(["disconnected"]);
  });

  test("stands before nobody in line", () => {
    const made = Bench.open().node("n", { cpu: 1 });
    made.framework("a", { scheduler: "Offers" }).framework("f", { scheduler: "Offers", maxOutstanding: 1 });
    made.asking("ta", { cpu: 2 }, { of: "a" }).asking("t", { cpu: 1 }, { instances: 2 }).settle();
    const standing = () =>
      made.broker.outlookOfTask("t-uid", made.broker.explainTask("t-uid")!, made.nowMs)!.when.place!.levels[0]!.of;
    const all = standing();
    renew(made, { of: "a", released: true });
    expect(standing()).toBe(all - 1);
  });

  test("has nothing kept back for its guarantee", () => {
    const made = Bench.open().node("n", { cpu: 1 });
    made.queue("mine", { guarantee: { cpu: 1 } }).framework("other", { queues: [{ name: "default", weight: 1 }] });
    made.framework("f", { scheduler: "Offers", queues: [{ name: "mine", weight: 1 }] });
    renew(made, { released: true }).asking("t", { cpu: 1 }).asking("o", { cpu: 1 }, { of: "other" }).settle();
    expect(made.all("create-pod")).toMatchObject([{ framework: "ns/other" }]);
  });

  test("and gives its Lease back is away at once", () => {
    const made = renew(half().wait(5_000), { released: true });
    expect(made.openOffers()).toHaveLength(0);
    expect(presence(made)!.message).toMatch(
      "was given back at 22:13:25Z; its tasks are kept until 22:23:25Z (failoverTimeoutSeconds 600), then killed",
    );
  });

  test("and has taken the room for an answer first is not too late", () => {
    const made = half();
    made.held.add("close-offer");
    const offer = made.openOffers()[0]!;
    made.wait(DURATION_MS);
    made.accept(offer, [{ task: "t", slice: "s0", count: 2 }]);
    expect(made.all("create-pod")).toHaveLength(4);
  });
});

describe("a program that comes back", () => {
  test.each([0, TIMEOUT_MS - 1])("after %i ms away gets offers again, and its tasks were not touched", (awayMs) => {
    const made = half().wait(DURATION_MS + awayMs);
    renew(made).settle();
    expect(presence(made)).toMatchObject({ state: "connected" });
    expect(made.openOffers()).toHaveLength(1);
    live(made, TIMEOUT_MS * 2);
    expect(made.all("delete-pod")).toHaveLength(0);
    expect(view(made)).toMatchObject({ counts: { running: 2, pending: 2 } });
    made.accept(made.openOffers()[0]!, [{ task: "t", slice: "s0", count: 2 }]);
    for (let index = 0; index < 4; index++) made.finish(`t-${index}-0`);
    expect(view(made)).toMatchObject({ state: "Finished", counts: { finished: 4 } });
    expect(made.all("create-pod")).toHaveLength(4);
    expect(events(made)).toEqual(["disconnected", "connected"]);
  });

  test("knows nothing of what was refused before: it is offered again", () => {
    const made = half();
    made.decline(made.openOffers()[0]!, 3_600_000);
    expect(made.settle().openOffers()).toHaveLength(0);
    renew(made.wait(DURATION_MS)).settle();
    expect(made.openOffers()).toHaveLength(1);
  });

  test("as another copy, with a Lease of its own, is the same framework", () => {
    const made = half().wait(DURATION_MS - 1);
    renew(made, { key: "ns/copy" }).wait(10_000);
    expect(presence(made)).toMatchObject({ state: "connected", message: "Lease ns/copy is renewed" });
    made.apply({ type: "lease-gone", key: "ns/copy" });
    expect(presence(made)).toMatchObject({ state: "disconnected" });
  });
});

describe("a program that stays away for too long", () => {
  test("has its tasks killed, for that reason, where the policy is Kill", () => {
    const made = half().wait(DURATION_MS + TIMEOUT_MS);
    expect(made.all("delete-pod").map(({ key }) => key)).toEqual(["ns/t-0-0", "ns/t-1-0"]);
    for (const index of [0, 1]) made.podGone(`t-${index}-0`);
    expect(view(made)).toMatchObject({ state: "Killed", failedIndexes: "0-3", counts: { killed: 4, pending: 0 } });
    const reasons = view(made).lastFailures.map(({ reason, index }) => `${index} ${reason}`);
    expect(reasons).toEqual(["1 framework-lost", "0 framework-lost", "2 framework-lost"]);
    expect(presence(made)).toMatchObject({
      state: "abandoned",
      message:
        "Lease ns/f ran out at 22:13:50Z; its tasks were kept until 22:23:50Z (failoverTimeoutSeconds 600), and killed",
    });
    expect(events(made)).toEqual(["disconnected", "failover-timeout"]);
  });

  test("has what runs left to its end, and nothing started, where the policy is Orphan", () => {
    const made = half(ORPHAN).wait(DURATION_MS);
    expect(presence(made)!.message).toMatch(
      /kept until 22:23:50Z \(failoverTimeoutSeconds 600\), then run to their ends$/,
    );
    made.wait(TIMEOUT_MS * 3);
    expect(presence(made)!.message).toMatch(
      /kept until 22:23:50Z \(failoverTimeoutSeconds 600\), and run to their ends$/,
    );
    expect(made.all("delete-pod")).toHaveLength(0);
    made.finish("t-0-0");
    expect(made.settle().openOffers()).toHaveLength(0);
    expect(view(made)).toMatchObject({ counts: { finished: 1, running: 1, pending: 2 } });
    renew(made).settle();
    expect(made.openOffers()).toHaveLength(1);
  });

  test("keeps what was created after the time was over", () => {
    const made = half().wait(DURATION_MS + TIMEOUT_MS - 1);
    made.asking("new", { cpu: 1 }, { createdAtMs: made.nowMs + 1 }).wait(1);
    renew(made.wait(TIMEOUT_MS)).settle();
    expect(made.broker.taskView("new-uid")).toMatchObject({ state: "Pending" });
    expect(view(made)).toMatchObject({ counts: { killed: 2 } });
  });

  test("is not killed for before the API server itself has confirmed that nothing was renewed", () => {
    const made = half();
    made.held.add("confirm-absence");
    made.wait(DURATION_MS + TIMEOUT_MS * 2);
    expect(made.all("confirm-absence")).toHaveLength(1);
    expect(made.all("delete-pod")).toHaveLength(0);
    renew(made);
    made.apply({ type: "absence-confirmed", framework: "ns/f" });
    expect(made.all("delete-pod")).toHaveLength(0);
    expect(presence(made)).toMatchObject({ state: "connected" });
  });

  test("loses its tasks too if the policy becomes Kill only then", () => {
    const made = half(ORPHAN).wait(DURATION_MS + TIMEOUT_MS);
    made.framework("f", { scheduler: "Offers", failover: KILL });
    expect(made.all("delete-pod")).toHaveLength(2);
  });

  test("has all the time that is given to it later", () => {
    const made = half().wait(DURATION_MS + TIMEOUT_MS - 1);
    made.framework("f", { scheduler: "Offers", failover: { ...KILL, timeoutMs: TIMEOUT_MS * 2 } });
    made.wait(TIMEOUT_MS);
    expect(made.all("delete-pod")).toHaveLength(0);
    made.wait(1);
    expect(made.all("delete-pod")).toHaveLength(2);
  });
});

describe("nobody is missed", () => {
  test("who never had a Lease", () => {
    const made = Bench.open().node("n", { cpu: 1 });
    made
      .framework("f", { scheduler: "Offers", failover: KILL })
      .asking("t", { cpu: 1 })
      .settle()
      .wait(TIMEOUT_MS * 9);
    expect(made.openOffers()).toHaveLength(1);
    expect(presence(made)).toBeUndefined();
  });

  test("whose Lease was deleted, be it after it ran out", () => {
    const made = half().wait(DURATION_MS + TIMEOUT_MS - 1);
    made.apply({ type: "lease-gone", key: "ns/f" });
    made.settle().wait(TIMEOUT_MS);
    expect(made.openOffers()).toHaveLength(1);
    expect(made.all("delete-pod")).toHaveLength(0);
  });

  test("who has no program: a Builtin framework", () => {
    const made = Bench.open().node("n", { cpu: 1 }).framework("f", { failover: KILL });
    renew(made, { renewedAtMs: 0 })
      .asking("t", { cpu: 1 })
      .settle()
      .wait(TIMEOUT_MS * 2);
    expect(made.all("create-pod")).toHaveLength(1);
    expect(made.all("delete-pod")).toHaveLength(0);
    expect(presence(made)).toBeUndefined();
  });

  test("a Lease may be there before its framework, and outlive it", () => {
    const made = renew(Bench.open().node("n", { cpu: 1 }), { released: true });
    expect(made.broker.frameworks()).toEqual([]);
    made.framework("f", { scheduler: "Offers" });
    expect(presence(made)).toMatchObject({ state: "disconnected" });
    made.apply({ type: "framework-gone", key: "ns/f" });
    renew(made);
    expect(made.broker.frameworkView("ns/f")).toBeUndefined();
    made.framework("f", { scheduler: "Offers" });
    expect(presence(made)).toMatchObject({ state: "connected" });
  });

  test("for another framework's Lease", () => {
    const made = half();
    made.framework("g", { scheduler: "Offers" });
    renew(made, { key: "ns/f", of: "g" }).wait(DURATION_MS * 2);
    expect(presence(made)).toBeUndefined();
    expect(presence(made, "g")).toMatchObject({ state: "disconnected" });
  });
});

describe("a change of leader", () => {
  /** A new leader, `afterMs` after the last renewal: it finds the Lease as it stands, and two pods that run. */
  function successor(afterMs: number, failover: FailoverFacts = KILL, pod: Parameters<typeof podFacts>[0] = {}): Bench {
    const made = new Bench({ term: "t2" });
    const renewedAtMs = made.nowMs;
    made.nowMs += afterMs;
    made.queue("default").node("n", { cpu: 4 }).framework("f", { scheduler: "Offers", failover });
    renew(made, { renewedAtMs }).asking("t", { cpu: 1 }, { instances: 4 });
    for (const index of [0, 1]) {
      made.pods.set(`t-${index}-0`, podFacts({ index, ...pod }));
      made.pod(`t-${index}-0`, {});
    }
    made.apply({ type: "opened" });
    return made.settle();
  }

  test("does not start the time again: it counts from the renewal that stands", () => {
    const made = successor(DURATION_MS + TIMEOUT_MS - 60_000).wait(59_999);
    expect(made.openOffers()).toHaveLength(0);
    expect(made.all("delete-pod")).toHaveLength(0);
    made.wait(1);
    expect(made.all("delete-pod")).toHaveLength(2);
  });

  test("makes no offer to a program that was away before, and it is no news", () => {
    const made = successor(DURATION_MS + 1);
    expect(made.all("publish-offer")).toHaveLength(0);
    expect(presence(made)).toMatchObject({ state: "disconnected" });
    expect(events(made)).toEqual([]);
  });

  test.each([KILL, ORPHAN])(
    "long after the time was over gives one duration of the Lease to show life ($policy)",
    (failover) => {
      const made = successor(TIMEOUT_MS * 9, failover).wait(DURATION_MS - 1);
      expect(made.all("delete-pod")).toHaveLength(0);
      expect(presence(made)).toMatchObject({ state: "disconnected" });
      made.wait(1);
      expect(made.all("delete-pod")).toHaveLength(failover === KILL ? 2 : 0);
      expect(presence(made)).toMatchObject({ state: "abandoned" });
      expect(events(made)).toEqual([]);
    },
  );

  test("does not kill for a program that renews by a clock that is behind", () => {
    const made = successor(TIMEOUT_MS * 9).wait(10_000);
    live(renew(made), TIMEOUT_MS * 2);
    expect(made.all("delete-pod")).toHaveLength(0);
    expect(presence(made)).toMatchObject({ state: "connected" });
  });

  test("in the midst of killing tells what is under way as killed, not as lost", () => {
    const made = successor(DURATION_MS + TIMEOUT_MS, KILL, { deleting: true });
    for (const index of [0, 1]) made.podGone(`t-${index}-0`);
    made.wait(DURATION_MS);
    expect(view(made)).toMatchObject({ state: "Killed", counts: { killed: 4, lost: 0 } });
  });
});

describe("a program that Proffer starts itself", () => {
  /** Its pod runs, or has not since `awayForMs` ago. */
  function pod(made: Bench, awayForMs?: number): Bench {
    const away = awayForMs === undefined ? {} : { awaySinceMs: made.nowMs - awayForMs };
    made.apply({ type: "program-observed", framework: "ns/f", ...away });
    return made;
  }

  /** As `half`, without a Lease. */
  function started(): Bench {
    const made = half();
    pod(made).apply({ type: "lease-gone", key: "ns/f" });
    return made;
  }

  test("is there for as long as its pod runs, where it has no Lease", () => {
    const made = started().wait(TIMEOUT_MS * 2);
    expect(presence(made)).toMatchObject({ state: "connected", message: "its pod runs" });
    expect(made.all("delete-pod")).toHaveLength(0);
  });

  test("is missed at once when its pod has ended, and in the end its tasks go", () => {
    const made = pod(started(), 1_000);
    expect(made.openOffers()).toHaveLength(0);
    expect(presence(made)!.message).toBe(
      "its pod does not run since 22:13:19Z; its tasks are kept until 22:23:19Z (failoverTimeoutSeconds 600), then killed",
    );
    made.wait(TIMEOUT_MS - 1_001);
    expect(made.all("delete-pod")).toHaveLength(0);
    made.wait(1);
    expect(made.all("delete-pod")).toHaveLength(2);
  });

  test("is missed at once, though its Lease is good for a while", () => {
    const made = pod(half(), 0);
    expect(presence(made)).toMatchObject({ state: "disconnected" });
    renew(pod(made));
    expect(presence(made)).toMatchObject({ state: "connected", message: "Lease ns/f is renewed" });
  });

  test("is missed when its Lease runs out, though its pod runs: it may hang", () => {
    expect(presence(pod(half()).wait(DURATION_MS))).toMatchObject({ state: "disconnected" });
  });

  test("that is started again has as long as is left since its Lease ran out", () => {
    const made = pod(half().wait(DURATION_MS + 60_000), 0);
    expect(presence(made)!.message).toMatch(
      "its tasks are kept until 22:23:50Z (failoverTimeoutSeconds 600), then killed",
    );
  });

  test("is nobody's business once somebody else is to run it", () => {
    const made = pod(started(), 0);
    made.apply({ type: "program-gone", framework: "ns/f" });
    made.settle();
    expect(presence(made)).toBeUndefined();
    expect(made.openOffers()).toHaveLength(1);
  });
});
