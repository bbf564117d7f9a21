import { describe, expect, test } from "vitest";
import type { Telemetry } from "../controller/telemetry.ts";
import type { Broker } from "../offers/broker.ts";
import { NO_INSTANCES } from "../offers/views.ts";
import type { ExplainSource } from "./explain.ts";
import { METRICS } from "./metric-catalogue.ts";
import { Metrics, type MetricsOptions, type MetricViews } from "./metrics.ts";
import { FakeBroker } from "./views.test-support.ts";

function setUp(options: Partial<MetricsOptions> = {}) {
  const broker = new FakeBroker();
  const metrics = new Metrics({
    version: "1.2.3",
    nodeVersion: "v24.0.0",
    views: () => broker,
    nowMs: () => 0,
    processMetrics: false,
    ...options,
  });
  return { broker, metrics };
}

/** Series with their values, as Prometheus reads them. */
async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  const series = new Map<string, number>();
  for (const line of (await metrics.scrape()).split("\n")) {
    const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match) series.set(match[1]!, Number(match[2]));
  }
  return series;
}

/** One event of every kind. */
function everyEvent(metrics: Metrics): void {
  metrics.roundFinished(0.003);
  metrics.effect("create-pod", "done");
  metrics.apiRequest({ verb: "create", resource: "pods", code: "201", seconds: 0.01 });
  metrics.effectEnded("launch", 0.02);
  metrics.queueDepth("pods", 3);
  metrics.leader(true);
  metrics.doubted("restored");
  metrics.offerEnded({ framework: "team-a/etl", phase: "Accepted", openMs: 1_500 });
}

describe("the catalogue", () => {
  test("is exactly what is exposed, with type and help", async () => {
    const { broker, metrics } = setUp();
    broker.addQueue("default", { demand: { cpu: 1_000 } });
    broker.addFramework("team-a/etl");
    everyEvent(metrics);
    const text = await metrics.scrape();
    const types = Object.fromEntries(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]),
    );
    expect(types).toEqual(Object.fromEntries(Object.entries(METRICS).map(([name, { type }]) => [name, type])));
    for (const [name, { help }] of Object.entries(METRICS)) expect(text).toContain(`# HELP ${name} ${help}\n`);
  });

  test("names the labels of every metric", async () => {
    const { broker, metrics } = setUp();
    broker.addQueue("default", { demand: { cpu: 1_000 } });
    broker.addFramework("team-a/etl", { presence: { state: "disconnected", message: "", keptUntilMs: 1 } });
    broker.cluster = { ...broker.cluster, free: { cpu: 1 } };
    everyEvent(metrics);
    const labels = new Map<string, Set<string>>();
    for (const series of (await scrape(metrics)).keys()) {
      const name = series.replace(/\{.*/, "").replace(/_(bucket|sum|count)$/, "");
      const known = labels.get(name) ?? new Set();
      for (const [, label] of series.matchAll(/([a-z_]+)="/g)) if (label !== "le") known.add(label!);
      labels.set(name, known);
    }
    expect(Object.fromEntries([...labels].map(([name, known]) => [name, [...known].sort()]))).toEqual(
      Object.fromEntries(Object.entries(METRICS).map(([name, metric]) => [name, [...metric.labels].sort()])),
    );
  });

  test("counts in the base units of Prometheus by its names", () => {
    for (const [name, { type, unit }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^proffer_[a-z_]+$/);
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      if (unit === "seconds") expect(name).toMatch(/_seconds$/);
    }
  });

  test("comes with the metrics of the process", async () => {
    const { metrics } = setUp({ processMetrics: true });
    const text = await metrics.scrape();
    expect(text).toContain("process_cpu_seconds_total");
    expect(text).toContain("nodejs_eventloop_lag_seconds");
  });
});

test("the broker is what is read, and the metrics are what the controller tells", () => {
  const read = (_views: MetricViews & Omit<ExplainSource, "taskUid">): void => {};
  const tell = (_telemetry: Telemetry): void => {};
  // The compiler checks it: main.ts hands the one to the other as they are.
  const check = (broker: Broker, metrics: Metrics): void => {
    read(broker);
    tell(metrics);
  };
  expect(check).toBeTypeOf("function");
});

describe("units", () => {
  test("cpu comes in cores, memory, storage and huge pages in bytes, the rest in counts", async () => {
    const { broker, metrics } = setUp();
    const canonical = {
      cpu: 1_500,
      memory: 4 * 1_024 * 1_024,
      "ephemeral-storage": 1,
      "hugepages-2Mi": 2_048,
      pods: 110,
      "nvidia.com/gpu": 8,
    };
    broker.cluster = { ...broker.cluster, allocatable: canonical };
    const series = await scrape(metrics);
    const allocatable = (resource: string) => series.get(`proffer_cluster_allocatable{resource="${resource}"}`);
    expect(Object.keys(canonical).map(allocatable)).toEqual([1.5, 4 * 2 ** 30, 1_024, 2 ** 21, 110, 8]);
  });

  test("of a queue likewise, and a resource of which it holds none is 0 where it wants some", async () => {
    const { broker, metrics } = setUp();
    broker.addQueue("research", { allocated: { cpu: 250 }, held: { memory: 1 }, demand: { "nvidia.com/gpu": 2 } });
    const series = await scrape(metrics);
    expect(series.get('proffer_queue_allocated{queue="research",resource="cpu"}')).toBe(0.25);
    expect(series.get('proffer_queue_held{queue="research",resource="memory"}')).toBe(1_024);
    expect(series.get('proffer_queue_demand{queue="research",resource="cpu"}')).toBe(0);
    expect(series.get('proffer_queue_allocated{queue="research",resource="nvidia.com/gpu"}')).toBe(0);
    expect(series.get('proffer_queue_demand{queue="research",resource="nvidia.com/gpu"}')).toBe(2);
  });

  test("times are in seconds", async () => {
    const { metrics } = setUp();
    metrics.offerEnded({ framework: "a/b", phase: "Declined", openMs: 1_500 });
    metrics.effectEnded("launch", 0.75);
    const series = await scrape(metrics);
    expect(series.get("proffer_offer_open_seconds_sum")).toBe(1.5);
    expect(series.get('proffer_effect_duration_seconds_bucket{le="0.5",lane="launch"}')).toBe(0);
    expect(series.get('proffer_effect_duration_seconds_bucket{le="1",lane="launch"}')).toBe(1);
  });
});

describe("offers that end", () => {
  test("count by framework and by end; only answers have a latency", async () => {
    const { broker, metrics } = setUp();
    broker.addFramework("team-a/etl");
    for (const phase of ["Accepted", "Refused", "Declined", "Rescinded", "Expired", "Expired"] as const) {
      metrics.offerEnded({ framework: "team-a/etl", phase, openMs: 1_000 });
    }
    const series = await scrape(metrics);
    expect(series.get('proffer_offers_total{framework="team-a/etl",outcome="expired"}')).toBe(2);
    expect(series.get('proffer_offers_total{framework="team-a/etl",outcome="accepted"}')).toBe(1);
    expect(series.get("proffer_offer_open_seconds_count")).toBe(6);
    expect(series.get("proffer_answer_latency_seconds_count")).toBe(3);
  });
});

describe("the number of series has a bound (guards T17)", () => {
  test("10,000 frameworks are 200 and `other`", async () => {
    const { broker, metrics } = setUp();
    for (let i = 0; i < 10_000; i++) {
      const key = `team-${i}/fw`;
      broker.addFramework(key, { dominantShare: i / 10_000, counts: { ...NO_INSTANCES, running: 1 } });
      metrics.offerEnded({ framework: key, phase: "Expired", openMs: 1 });
    }
    const series = await scrape(metrics);
    const of = (name: string) => [...series].filter(([key]) => key.startsWith(name));
    expect(of("proffer_framework_dominant_share{")).toHaveLength(201);
    expect(of("proffer_offers_total{")).toHaveLength(201);
    expect(of("proffer_tasks{")).toHaveLength(201 * Object.keys(NO_INSTANCES).length);
    expect(series.get('proffer_tasks{framework="other",state="running"}')).toBe(9_800);
    expect(series.get('proffer_offers_total{framework="other",outcome="expired"}')).toBe(9_800);
    expect(series.get('proffer_framework_dominant_share{framework="other"}')).toBe(0.9999);
  });

  test("10,000 queues are 200 and `other`, which holds the sum of the rest", async () => {
    const { broker, metrics } = setUp();
    for (let i = 0; i < 10_000; i++) {
      broker.addQueue(`queue-${i}`, { allocated: { cpu: 1_000 }, dominantShare: i / 10_000 });
    }
    const series = await scrape(metrics);
    const of = (name: string) => [...series].filter(([key]) => key.startsWith(name));
    expect(of("proffer_queue_allocated{")).toHaveLength(201);
    expect(series.get('proffer_queue_allocated{queue="other",resource="cpu"}')).toBe(9_800);
    expect(series.get('proffer_dominant_share{queue="other"}')).toBe(0.9999);
  });

  test("a queue that is really called `other` does not mix with the rest unseen: it is part of it", async () => {
    const { broker, metrics } = setUp({ maxNames: 1 });
    for (const name of ["other", "first", "second"]) broker.addQueue(name, { allocated: { cpu: 1_000 } });
    const series = await scrape(metrics);
    expect(series.get('proffer_queue_allocated{queue="first",resource="cpu"}')).toBe(1);
    expect(series.get('proffer_queue_allocated{queue="other",resource="cpu"}')).toBe(2);
  });

  test("wishes for 10,000 made-up resources do not push out what the nodes have", async () => {
    const { broker, metrics } = setUp();
    broker.cluster = { ...broker.cluster, allocatable: { cpu: 1_000, memory: 1_024 } };
    const demand = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`example.com/r${i}`, 1]));
    broker.addQueue("greedy", { demand });
    broker.addQueue("modest", { demand: { memory: 1_024 } });
    const series = await scrape(metrics);
    expect([...series.keys()].filter((key) => key.startsWith("proffer_queue_demand{")).length).toBeLessThanOrEqual(17);
    expect(series.get('proffer_queue_demand{queue="modest",resource="memory"}')).toBe(1_048_576);
  });

  test("even names that the program itself gives are bounded", async () => {
    const { metrics } = setUp();
    for (let i = 0; i < 1_000; i++) {
      metrics.effect(`type-${i}`, "done");
      metrics.apiRequest({ verb: "get", resource: `resource-${i}`, code: "200", seconds: 0 });
      metrics.queueDepth(`lane-${i}`, 1);
    }
    const series = [...(await scrape(metrics)).keys()];
    for (const name of ["proffer_effects_total{", "proffer_api_requests_total{", "proffer_effect_queue_depth{"]) {
      expect(series.filter((key) => key.startsWith(name)).length).toBeLessThanOrEqual(65);
    }
  });

  test("the place of a framework that is gone is free again, and its series end", async () => {
    const { broker, metrics } = setUp({ maxNames: 1 });
    broker.addFramework("a/first");
    metrics.offerEnded({ framework: "a/first", phase: "Expired", openMs: 1 });
    await metrics.scrape();
    broker.frameworkViews.clear();
    broker.addFramework("a/second");
    const text = await metrics.scrape();
    expect(text).not.toContain("a/first");
    expect(text).toContain('proffer_framework_dominant_share{framework="a/second"} 0');
  });
});

describe("hostile names (guards T18)", () => {
  test("cannot make a line of their own", async () => {
    const { metrics } = setUp({ views: () => undefined });
    metrics.offerEnded({ framework: 'a/b"} 1\nfake_metric 1\n\u001b[2J\u2028', phase: "Expired", openMs: 1 });
    const text = await metrics.scrape();
    expect(text).not.toMatch(/^fake_metric/m);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });

  test("like __proto__ are names like any other (guards T14)", async () => {
    const { broker, metrics } = setUp();
    for (const name of ["__proto__", "constructor", "toString"]) {
      broker.addQueue(name, { allocated: { cpu: 1_000 } });
      broker.addFramework(name);
      metrics.effect(name, name);
    }
    const series = await scrape(metrics);
    expect(series.get('proffer_queue_allocated{queue="__proto__",resource="cpu"}')).toBe(1);
    expect(series.get('proffer_effects_total{type="constructor",outcome="constructor"}')).toBe(1);
    expect(Object.prototype).not.toHaveProperty("cpu");
  });
});

describe("what the broker holds", () => {
  test("is read when somebody scrapes, and only then", async () => {
    let reads = 0;
    const broker = new FakeBroker();
    const { metrics } = setUp({
      views: () => {
        reads++;
        return broker;
      },
    });
    everyEvent(metrics);
    expect(reads).toBe(0);
    await Promise.all([metrics.scrape(), metrics.scrape(), metrics.scrape()]);
    expect(reads).toBe(1);
  });

  test("is read a little at a time, so that a scrape does not hold everything else up", async () => {
    const { broker, metrics } = setUp();
    for (let i = 0; i < 100; i++) broker.addFramework(`a/fw-${i}`);
    let turns = 0;
    let scraped = false;
    const turn = (): void => {
      turns++;
      if (!scraped) setImmediate(turn);
    };
    setImmediate(turn);
    await metrics.scrape();
    scraped = true;
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  test("is not shown any more once it is gone", async () => {
    const { broker, metrics } = setUp();
    broker.addQueue("old", { allocated: { cpu: 1_000 } });
    broker.cluster = { ...broker.cluster, free: { "nvidia.com/gpu": 1 }, openOffers: 3 };
    await metrics.scrape();
    broker.queueViews.clear();
    broker.cluster = { ...broker.cluster, free: {}, openOffers: 0 };
    const series = await scrape(metrics);
    expect([...series.keys()].filter((key) => /"old"|nvidia/.test(key))).toEqual([]);
    expect(series.get("proffer_open_offers")).toBe(0);
  });

  test("is not shown by a standby, which still counts what it does itself", async () => {
    const { metrics } = setUp({ views: () => undefined });
    metrics.apiRequest({ verb: "watch", resource: "pods", code: "200", seconds: 0.1 });
    const series = await scrape(metrics);
    expect([...series.keys()].filter((key) => /queue=|framework=|proffer_cluster/.test(key))).toEqual([]);
    expect(series.get('proffer_api_requests_total{verb="watch",resource="pods",code="200"}')).toBe(1);
  });

  test("every resource of the cluster has all six numbers, so that they can be set off against each other", async () => {
    const { broker, metrics } = setUp();
    broker.cluster = { ...broker.cluster, allocatable: { cpu: 4_000 }, held: { cpu: 1_000 }, free: { cpu: 3_000 } };
    const series = await scrape(metrics);
    const of = (part: string) => series.get(`proffer_cluster_${part}{resource="cpu"}`);
    expect(["allocatable", "free", "held", "allocated", "offered", "foreign"].map(of)).toEqual([4, 3, 1, 0, 0, 0]);
  });

  test("lost races count on from scrape to scrape, and begin anew with a term", async () => {
    const { broker, metrics } = setUp();
    const races = async (lostRaces: number) => {
      broker.cluster = { ...broker.cluster, lostRaces };
      return (await scrape(metrics)).get("proffer_lost_races_total");
    };
    expect([await races(2), await races(5), await races(1)]).toEqual([2, 5, 1]);
  });

  test("what is asked back, what is ended for it, and what is held in vain is counted", async () => {
    const { broker, metrics } = setUp();
    const inverseOfferEnds = { accepted: 1, refused: 0, declined: 0, expired: 1, rescinded: 0 };
    broker.cluster = { ...broker.cluster, inverseOffers: 3, inverseOfferEnds, evictions: 7, passedHolds: 2 };
    const series = await scrape(metrics);
    expect(series.get('proffer_inverse_offers_ended_total{outcome="expired"}')).toBe(1);
    expect(series.get('proffer_inverse_offers_ended_total{outcome="declined"}')).toBe(0);
    expect(series.get("proffer_inverse_offers_total")).toBe(3);
    expect(series.get("proffer_evictions_total")).toBe(7);
    expect(series.get("proffer_holds_passed_total")).toBe(2);
  });
});

describe("of a framework", () => {
  test("whose program is away it is shown until when its tasks are kept, and of no other", async () => {
    const { broker, metrics } = setUp({ maxNames: 3 });
    const presence = (state: "connected" | "disconnected" | "abandoned", keptUntilMs: number) => {
      return { presence: { state, message: "", keptUntilMs } };
    };
    broker.addFramework("a/there", presence("connected", Number.POSITIVE_INFINITY));
    broker.addFramework("a/away", presence("disconnected", 1_500));
    broker.addFramework("a/unknown");
    broker.addFramework("b/late", presence("disconnected", 9_000));
    broker.addFramework("b/over", presence("abandoned", 4_000));
    const kept = async () =>
      [...(await scrape(metrics))].filter(([key]) => key.startsWith("proffer_framework_kept_until_timestamp_seconds"));
    const name = "proffer_framework_kept_until_timestamp_seconds";
    expect(await kept()).toEqual([
      [`${name}{framework="a/away"}`, 1.5],
      [`${name}{framework="other"}`, 4],
    ]);
    broker.frameworkViews.delete("a/away");
    expect(await kept()).toEqual([
      [`${name}{framework="b/late"}`, 9],
      [`${name}{framework="other"}`, 4],
    ]);
  });

  test("it is shown how often room was held in vain for what waits", async () => {
    const { broker, metrics } = setUp({ maxNames: 1 });
    for (const [i, vainTurns] of [2, 3, 5].entries()) broker.addFramework(`a/${i}`, { vainTurns });
    const series = await scrape(metrics);
    expect(series.get('proffer_framework_vain_turns{framework="a/0"}')).toBe(2);
    expect(series.get('proffer_framework_vain_turns{framework="other"}')).toBe(5);
  });
});

test("becoming the leader is a transition, staying it or stepping down is none", async () => {
  const { metrics } = setUp();
  for (const leading of [false, true, true, false, false, true]) metrics.leader(leading);
  const series = await scrape(metrics);
  expect(series.get("proffer_leader_transitions_total")).toBe(2);
  expect(series.get("proffer_is_leader")).toBe(1);
});

test("nothing waits to be carried out after the term", async () => {
  const { metrics } = setUp();
  metrics.leader(true);
  metrics.queueDepth("launch", 7);
  metrics.leader(false);
  expect([...(await scrape(metrics)).keys()].filter((key) => key.startsWith("proffer_effect_queue_depth"))).toEqual([]);
});

test("the build says what runs", async () => {
  const { metrics } = setUp();
  const series = await scrape(metrics);
  expect(series.get('proffer_build_info{version="1.2.3",node_version="v24.0.0"}')).toBe(1);
});
