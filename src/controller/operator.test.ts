import { afterEach, describe, expect, test } from "vitest";
import { type FakeKube, status } from "./fake-kube.test-support.ts";
import { frameworkObject, nodeObject, queueObject, taskObject } from "./objects.test-support.ts";
import { create, fill, setUp, stopWorlds } from "./operator.test-support.ts";

afterEach(stopWorlds);

describe("a term", () => {
  test("begins with everything there is, and is then opened", async () => {
    const { kube, broker, lead, operator } = setUp();
    fill(kube);
    await lead();
    expect(broker().types()).toEqual([
      "publishing",
      "queue-observed",
      "framework-observed",
      "node-observed",
      "task-observed",
      "pod-observed",
      "offer-observed",
      "opened",
    ]);
    expect(broker().of("task-observed")[0]?.task.priority).toBe(7);
    expect(operator.standing).toEqual({ role: "leader", open: true });
  });

  test("writes no status and answers nobody before it knows everything: half of what runs is no answer (guards: holdStatuses, isOpen)", async () => {
    const { kube, clock, broker, lead, operator } = setUp({
      react: (it) => {
        it.react = () => {
          clock.freeze(10);
          return [];
        };
      },
    });
    fill(kube);
    for (let i = 0; i < 2_000; i++) kube.put("nodes", nodeObject(`more-${i}`));
    const statuses = () => kube.writes.filter(({ path }) => path.endsWith("/status")).length;
    await lead();
    let looks = 0;
    for (; !broker().types().includes("opened"); looks++) {
      expect([statuses(), operator.broker, operator.standing]).toEqual([0, undefined, { role: "leader", open: false }]);
      await clock.advance(100);
    }
    expect(looks).toBeGreaterThan(10);
    expect([operator.broker, operator.standing]).toEqual([broker(), { role: "leader", open: true }]);
    await clock.advance(2_000);
    expect(statuses()).toBeGreaterThan(0);
  });

  test("has its pods before it asks for Tasks: a finished index is never missing (guards: the order in catchUp, point 5)", async () => {
    const { kube, clock, operator, broker } = setUp();
    fill(kube);
    await clock.advance(1_000);
    const asked: string[] = [];
    const podsCome = Promise.withResolvers<void>();
    const stream = kube.stream.bind(kube);
    kube.stream = async (path, options) => {
      asked.push(path);
      if (path.endsWith("/pods")) await podsCome.promise;
      return stream(path, options);
    };
    operator.acquired("7", () => true);
    await clock.advance(1_000);
    expect(asked).toEqual(["/api/v1/pods"]);
    // The last leader's last words: the index is on record, and its pod may go.
    kube.put("tasks", { ...kube.all("tasks")[0], status: { state: "Finished", succeededIndexes: "0" } });
    kube.remove("pods", kube.all("pods")[0]);
    podsCome.resolve();
    await clock.advance(1_000);
    expect(broker().of("task-observed")[0]?.task.recorded?.succeededIndexes).toBe("0");
    expect(broker().types()).toContain("opened");
  });

  test("of a standby whose caches are behind begins with what the API server has now (guards: the consistent list)", async () => {
    const { kube, clock, lead, broker } = setUp();
    fill(kube);
    await clock.advance(1_000);
    kube.mute();
    kube.put("tasks", taskObject({ metadata: { name: "late", uid: "late" } }));
    kube.remove("pods", kube.all("pods")[0]);
    await lead();
    const tasks = broker().of("task-observed");
    expect(tasks.map(({ task }) => task.uid)).toContain("late");
    expect(broker().types()).not.toContain("pod-observed");
  });

  describe("of a standby with large caches", () => {
    const many = (kube: FakeKube) => {
      for (let i = 0; i <= 1_000; i++) kube.put("tasks", taskObject({ metadata: { name: `t${i}`, uid: `uid-${i}` } }));
    };
    const listed = (kube: FakeKube) => {
      const lists: string[] = [];
      const stream = kube.stream.bind(kube);
      kube.stream = (path, options) => {
        if (options.verb === "list" || options.query.sendInitialEvents) lists.push(path.split("/").at(-1)!);
        return stream(path, options);
      };
      return lists;
    };

    test("that have heard of all there is lists them no more", async () => {
      const { kube, clock, operator, broker } = setUp();
      many(kube);
      await clock.advance(1_000);
      const lists = listed(kube);
      operator.acquired("7", () => true);
      await clock.advance(0);
      kube.put("tasks", taskObject({ metadata: { name: "newest", uid: "newest" } }));
      await clock.advance(1_000);
      expect(lists).not.toContain("tasks");
      expect(
        broker()
          .of("task-observed")
          .map(({ task }) => task.uid),
      ).toContain("newest");
    });

    test("that hear of nothing for a while lists them again (guards: the wait for the version)", async () => {
      const { kube, clock, lead, broker } = setUp();
      many(kube);
      await clock.advance(1_000);
      const lists = listed(kube);
      kube.mute();
      kube.put("tasks", taskObject({ metadata: { name: "late", uid: "late" } }));
      await lead();
      expect(lists).toContain("tasks");
      expect(
        broker()
          .of("task-observed")
          .map(({ task }) => task.uid),
      ).toContain("late");
    });
  });

  test("of a process that leads from its start on lists once", async () => {
    const { kube, lead, broker } = setUp();
    fill(kube);
    const listedAgain: string[] = [];
    const stream = kube.stream.bind(kube);
    kube.stream = (path, options) => {
      if (options.verb === "list" || options.query.sendInitialEvents) listedAgain.push(path);
      return stream(path, options);
    };
    await lead();
    expect(broker().types()).toContain("opened");
    expect(listedAgain).toEqual([]);
  });

  test("goes on with what the watches show, leaving out what changes nothing", async () => {
    const { kube, clock, lead, broker } = setUp();
    fill(kube);
    await lead();
    broker().inputs.length = 0;
    const pod = kube.all("pods")[0];
    kube.put("pods", { ...pod, metadata: { ...pod.metadata, annotations: { a: "b" } } });
    kube.put("nodes", nodeObject("n1", { metadata: { annotations: { beat: "1" } } }));
    kube.put("tasks", { ...kube.all("tasks")[0], status: { state: "Running" } });
    await clock.advance(10);
    expect(broker().types()).toEqual([]);
    kube.put("pods", { ...pod, status: { phase: "Running" } });
    kube.put("nodes", nodeObject("n2"));
    kube.remove("pods", pod);
    await clock.advance(10);
    expect(broker().types()).toEqual(["pod-observed", "node-observed", "pod-gone"]);
    expect(broker().of("node-observed")[0]?.node).toMatchObject({ name: "n2", closed: "settling" });
    expect(broker().of("pod-gone")[0]?.pod).toMatchObject({ uid: "pod-1", phase: "Running" });
  });

  test("creates the default queue when there is none, and again when it is deleted", async () => {
    const { kube, clock, lead } = setUp();
    await lead();
    // Open to all, so nobody takes more of it than the others by giving himself weight.
    expect(kube.get("queues", "", "default").spec).toMatchObject({ namespaces: ["*"], maxFrameworkWeight: 1 });
    kube.remove("queues", kube.get("queues", "", "default"));
    await clock.advance(10);
    expect(kube.get("queues", "", "default")).toBeDefined();
  });

  test("Tasks take new defaults of their Framework", async () => {
    const { kube, clock, lead, broker } = setUp();
    fill(kube);
    await lead();
    kube.put("frameworks", frameworkObject({ taskDefaults: { priority: 9 } }, { generation: 2 }));
    await clock.advance(10);
    expect(
      broker()
        .of("task-observed")
        .map(({ task }) => task.priority),
    ).toEqual([7, 9]);
  });

  test("writes nothing while nothing happens, the lease aside", async () => {
    const { kube, clock, lead } = setUp();
    fill(kube);
    await lead();
    await clock.advance(10_000);
    const before = kube.writes.length;
    await clock.advance(3_600_000);
    expect(kube.writes.length).toBe(before);
  });
});

describe("losing the lease", () => {
  test("ends the term: nothing is sent or decided any more, and the caches stay (guards: fence and listen)", async () => {
    const { kube, clock, operator, broker, lead, lose } = setUp({
      react: (scripted) => {
        scripted.react = (input) => (input.type === "opened" ? [create] : []);
      },
    });
    fill(kube);
    kube.remove("pods", kube.all("pods")[0]);
    kube.fault = ({ method, path }) =>
      method === "POST" && path.endsWith("/pods") ? { error: status(503, "ServiceUnavailable") } : undefined;
    await lead();
    lose();
    kube.fault = () => undefined;
    const [sent, told] = [kube.writes.length, broker().inputs.length];
    kube.put("nodes", nodeObject("n2"));
    await clock.advance(120_000);
    expect(kube.writes.length).toBe(sent);
    expect(broker().inputs.length).toBe(told);
    expect(operator.standing).toEqual({ role: "standby" });
  });

  test("is noticed by every write before anyone says so (guards: the fence of the term)", async () => {
    const { kube, clock, lead, leads, broker } = setUp();
    fill(kube);
    await lead();
    await clock.advance(10_000);
    leads.now = false;
    const sent = kube.writes.length;
    broker().react = () => [
      create,
      { type: "queue-changed", name: "default", urgent: false },
      { type: "delete-pod", key: "ns/p", uid: "u" },
    ];
    kube.put("nodes", nodeObject("n2"));
    kube.put("queues", queueObject("default", { weight: 5 }));
    await clock.advance(60_000);
    expect(broker().types()).toContain("node-observed");
    expect(kube.writes.length).toBe(sent);
  });

  test("and getting it again begins a new term with a new broker", async () => {
    const { kube, brokers, lead, lose } = setUp();
    fill(kube);
    await lead("7");
    lose();
    await lead("9");
    expect(brokers.map(({ term }) => term)).toEqual(["7", "9"]);
    expect(brokers[1]?.types()).toContain("opened");
  });

  test("while the caches catch up begins no term", async () => {
    const { kube, clock, brokers, operator, lose } = setUp();
    fill(kube);
    operator.acquired("7", () => true);
    lose();
    await clock.advance(60_000);
    expect(brokers).toEqual([]);
  });
});

describe("a broker that fails", () => {
  test("is replaced by a new one that begins with what the API server shows, less and less often", async () => {
    const { kube, clock, brokers, lead, logged } = setUp({
      react: (broker) => {
        broker.react = (input) => {
          if (input.type === "opened") throw new Error("invariant broken");
          return [];
        };
      },
    });
    fill(kube);
    await lead();
    expect(logged.some((line) => line.includes("bug"))).toBe(true);
    await clock.advance(600_000);
    expect(brokers.length).toBeGreaterThan(5);
    expect(brokers.length).toBeLessThan(25);
    expect(new Set(brokers.map(({ term }) => term)).size).toBe(brokers.length);
    expect(brokers.every(({ term }) => /^[a-z0-9]+$/.test(term))).toBe(true);
  });
});

test("what a failed broker wanted is not sent any more, though the lease is still ours (guards: a term that is over)", async () => {
  let failing = true;
  const { kube, clock, brokers, lead } = setUp({
    react: (broker) => {
      broker.react = (input) => {
        if (input.type === "opened" && failing) return [create];
        if (input.type === "node-observed" && input.node.name === "poison" && failing)
          throw new Error("invariant broken");
        return [];
      };
    },
  });
  fill(kube);
  kube.remove("pods", kube.all("pods")[0]);
  // A connection is free only after the broker has failed.
  const connection = Promise.withResolvers<void>();
  const request = kube.request.bind(kube);
  kube.request = async (method, path, options) => {
    if (method === "POST" && path.endsWith("/pods") && !options?.query?.dryRun) await connection.promise;
    return request(method, path, options);
  };
  await lead();
  kube.put("nodes", nodeObject("poison"));
  await clock.advance(10);
  failing = false;
  connection.resolve();
  await clock.advance(120_000);
  expect(brokers).toHaveLength(2);
  expect(kube.all("pods")).toEqual([]);
});
