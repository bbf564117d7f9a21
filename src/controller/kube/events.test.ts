import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "./api-error.ts";
import { KubeClient } from "./client.ts";
import { FakeClock, settle } from "./clock.test-support.ts";
import { EventRecorder, type EventRecorderOptions, type Happening } from "./events.ts";
import type { Method, RequestOptions } from "./transport.ts";

interface Sent {
  readonly method: Method;
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly atMs: number;
}

let clock: FakeClock;
let sent: Sent[];
let answer: (method: Method) => Promise<unknown>;
let dropped: number;

beforeEach(() => {
  clock = new FakeClock();
  sent = [];
  dropped = 0;
  answer = () => Promise.resolve({});
});

function recorder(options: Partial<EventRecorderOptions> = {}): EventRecorder {
  const client = new KubeClient(
    {
      request: (method: Method, path: string, request: RequestOptions = {}) => {
        sent.push({ method, path, body: request.body as Record<string, unknown>, atMs: clock.monotonicMs() });
        return answer(method);
      },
      stream: () => Promise.resolve(),
      onReachable: () => () => {},
    },
    "proffer",
  );
  return new EventRecorder({
    client,
    clock,
    random: () => 0.5,
    reportingController: "proffer.dev/operator",
    reportingInstance: "operator-0",
    onDropped: () => dropped++,
    ...options,
  });
}

function happening(name = "t", note = "no node fits"): Happening {
  return {
    regarding: { apiVersion: "proffer.dev/v1", kind: "Task", namespace: "team", name, uid: `uid-${name}` },
    type: "Warning",
    reason: "Unschedulable",
    action: "Place",
    note,
  };
}

describe("what is written", () => {
  test("an event names what it is about, who says it, when and why", async () => {
    recorder().record(happening());
    await settle();
    expect(sent).toMatchObject([
      {
        method: "POST",
        path: "/apis/events.k8s.io/v1/namespaces/team/events",
        body: {
          eventTime: "2026-01-01T00:00:00.000000Z",
          regarding: { kind: "Task", uid: "uid-t" },
          type: "Warning",
          reason: "Unschedulable",
          action: "Place",
          note: "no node fits",
          reportingController: "proffer.dev/operator",
          reportingInstance: "operator-0",
        },
      },
    ]);
    expect(sent[0]?.body.series).toBeUndefined();
  });

  test("an event about a cluster-wide object stands in default; long notes and names are cut", async () => {
    const { namespace: _, ...regarding } = { ...happening().regarding, name: "n".repeat(253) };
    recorder().record({ ...happening(), regarding, note: "ü".repeat(5_000) });
    await settle();
    const [event] = sent as [Sent];
    expect(event.path).toBe("/apis/events.k8s.io/v1/namespaces/default/events");
    expect(event.body.note).toBe("ü".repeat(500));
    expect((event.body.metadata as { name: string }).name.length).toBeLessThanOrEqual(253);
  });

  test("what happens again is counted in the same event, at most every 30 s", async () => {
    const events = recorder();
    for (let i = 0; i < 100; i++) {
      events.record(happening());
      await clock.advance(1_000);
    }
    await clock.advance(60_000);
    const [created, ...counts] = sent as [Sent, ...Sent[]];
    const { name } = created.body.metadata as { name: string };
    expect(counts.map(({ method, path, atMs }) => [method, path.split("/").at(-1), atMs])).toEqual([
      ["PATCH", name, 31_000],
      ["PATCH", name, 61_000],
      ["PATCH", name, 91_000],
      ["PATCH", name, 121_000],
    ]);
    expect(counts.at(-1)?.body).toEqual({ series: { count: 100, lastObservedTime: "2026-01-01T00:01:39.000000Z" } });
    expect(clock.pendingTimers).toBe(0);
  });

  test("another note, another object and another day are events of their own", async () => {
    const events = recorder();
    events.record(happening());
    events.record(happening("t", "quota"));
    events.record(happening("u"));
    await clock.advance(600_000);
    events.record(happening());
    await settle();
    expect(sent.map(({ method }) => method)).toEqual(["POST", "POST", "POST", "POST"]);
  });

  test("an event that has expired on the server begins anew with the next of its kind", async () => {
    const events = recorder();
    events.record(happening());
    await settle();
    answer = () => Promise.reject(new ApiError({ status: 404, reason: "NotFound" }));
    events.record(happening());
    await clock.advance(30_000);
    answer = () => Promise.resolve({});
    events.record(happening());
    await settle();
    expect(sent.map(({ method }) => method)).toEqual(["POST", "PATCH", "POST"]);
  });
});

describe("what is not", () => {
  test("above the rate, events wait", async () => {
    const events = recorder({ rate: { perSecond: 2, burst: 3 } });
    for (let i = 0; i < 6; i++) events.record(happening(`t${i}`));
    await clock.advance(10_000);
    expect(sent.map(({ atMs }) => atMs)).toEqual([0, 0, 0, 500, 1_000, 1_500]);
  });

  test("when the server does not answer, events are dropped, and nobody waits", async () => {
    let release = (): void => {};
    const stuck = new Promise((resolve) => {
      release = () => resolve({});
    });
    answer = () => stuck;
    const events = recorder({ maxWaiting: 10 });
    for (let i = 0; i < 100; i++) events.record(happening(`t${i}`));
    await settle();
    expect(sent.length).toBe(4);
    expect(dropped).toBe(86);
    release();
    await clock.advance(60_000);
    expect(sent.length).toBe(14);
  });

  test("an event that is refused is dropped, and told again when it happens again", async () => {
    answer = () => Promise.reject(new ApiError({ status: 403, reason: "Forbidden" }));
    const events = recorder();
    events.record(happening());
    await settle();
    events.record(happening());
    await settle();
    expect([sent.length, dropped]).toEqual([2, 2]);
  });

  test("memory of past events is bounded", async () => {
    const events = recorder({ maxRemembered: 2, rate: { perSecond: 1_000, burst: 1_000 } });
    for (const name of ["a", "b", "a", "c", "a", "b"]) events.record(happening(name));
    await settle();
    // "b" was seen longest ago when "c" came, and is new when it comes again.
    expect(sent.map(({ body }) => (body.regarding as { name: string } | undefined)?.name)).toEqual([
      "a",
      "b",
      "c",
      "b",
    ]);
  });

  test("nothing is written after stop", async () => {
    const events = recorder();
    events.record(happening());
    await settle();
    events.record(happening());
    events.stop();
    events.record(happening("u"));
    await clock.advance(100_000);
    expect(sent.length).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });
});
