import { describe, expect, test } from "vitest";
import { until } from "./clock.test-support.ts";
import type { FakeStream } from "./fake-api-server.test-support.ts";
import { thing, useBench } from "./reflector.test-support.ts";

const bench = useBench();

describe("a watch that ends", () => {
  test("a watch dropped in the middle of a line is resumed, with nothing lost, nothing twice and no new list", async () => {
    const stream = await bench().synced();
    const line = JSON.stringify({ type: "ADDED", object: thing("c", 1, "7") });
    stream.event("ADDED", thing("b", 1, "6"));
    stream.raw(line.slice(0, 40));
    await bench().hears("+b1");
    const watch = bench().nextWatch();
    stream.drop();
    expect(await bench().nap()).toBeLessThanOrEqual(1_000);
    (await watch).event("ADDED", thing("c", 1, "7"));
    await bench().hears("error", "+c1");
    expect(bench().queries()[1]).toMatchObject({ resourceVersion: "6" });
    expect(bench().lists()).toBe(1);
  });

  test("a watch that ends in due time is resumed at once", async () => {
    const stream = await bench().synced();
    stream.bookmark("8");
    const watch = bench().nextWatch();
    stream.end();
    await watch;
    expect(bench().queries()[1]).toMatchObject({ resourceVersion: "8" });
    expect(bench().heard).toEqual([]);
  });

  test("bookmarks alone keep a quiet watch from growing old", async () => {
    let stream = await bench().synced();
    for (const version of ["100", "200", "300"]) {
      stream.bookmark(version);
      const watch = bench().nextWatch();
      stream.end();
      stream = await watch;
    }
    expect(
      bench()
        .queries()
        .map(({ resourceVersion }) => resourceVersion),
    ).toEqual([undefined, "100", "200", "300"]);
    expect(bench().reflector.lastSyncResourceVersion).toBe("300");
    expect(bench().heard).toEqual([]);
  });

  test("events that come again change nothing", async () => {
    const stream = await bench().synced();
    stream.event("ADDED", thing("b", 1, "6"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("MODIFIED", thing("a", 2, "8"));
    await bench().hears("+b1", "-b1", "~a2<a1");
    for (const version of ["6", "7", "8"]) stream.event("ADDED", thing("b", 1, version));
    stream.event("MODIFIED", thing("a", 2, "8"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("ADDED", thing("a", 1, "3"));
    stream.event("MODIFIED", thing("a", 3, "9"));
    await bench().hears("~a3<a2");
    stream.event("ADDED", thing("b", 2, "10", "second"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("MODIFIED", thing("b", 3, "11", "second"));
    await bench().hears("+b2", "~b3<b2");
  });

  test.each<{ name: string; expire: (stream: FakeStream) => void }>([
    {
      name: "in the stream",
      expire: (stream) => stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" }),
    },
    {
      name: "as the answer",
      expire: (stream) => {
        bench().server.script.unshift((_, reply) => reply.status(410, "Expired"));
        stream.bookmark("6");
        stream.end();
      },
    },
  ])("a version that is too old, said $name, causes exactly one new list, at once", async ({ expire }) => {
    const stream = await bench().synced([thing("a", 1, "3"), thing("b", 1, "4")]);
    const listed = bench().streamedList([thing("a", 2, "20")], "30");
    expire(stream);
    const next = await listed;
    await bench().hears("error", "-b1", "~a2<a1", "synced@30");
    next.event("MODIFIED", thing("a", 3, "31"));
    await bench().hears("~a3<a2");
    expect(bench().lists()).toBe(2);
    expect(bench().clock.monotonicMs()).toBe(0);
  });

  test("a version that has become too old during an outage causes that list at once when the server is back", async () => {
    await bench().synced();
    const restore = await bench().server.outage();
    for (let i = 0; i < 6; i++) await bench().nap();
    await until(() => (bench().clock.nextTimerInMs ?? 30_000) < 30_000);
    await restore();
    bench().server.script.push((_, reply) => reply.status(410, "Expired"));
    const listed = bench().streamedList([], "9");
    await bench().nap();
    const backMs = bench().clock.monotonicMs();
    await listed;
    expect(bench().clock.monotonicMs()).toBe(backMs);
  });

  test("a server that knows nothing but 410 is asked less and less often", async () => {
    const stream = await bench().synced();
    const waits: number[] = [];
    bench().server.otherwise = (_, reply) => reply.status(410, "Expired");
    stream.drop();
    for (let i = 0; i < 9; i++) waits.push(await bench().nap());
    expect(waits).toEqual([600, 1_200, 2_400, 4_800, 9_600, 19_200, 22_500, 22_500, 22_500]);
  });

  test("after a new list, another UID under the same name is the end of one object and the start of another", async () => {
    const stream = await bench().synced([thing("a", 1, "3", "first"), thing("b", 1, "4")]);
    const listed = bench().streamedList([thing("a", 2, "20", "second"), thing("b", 1, "4")], "30");
    stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
    await listed;
    await bench().hears("error", "-a1", "+a2", "synced@30");
  });

  test("the same holds for events, even if the end of the first was never told", async () => {
    const stream = await bench().synced([thing("a", 1, "3", "first"), thing("b", 1, "4", "first")]);
    stream.event("ADDED", thing("a", 2, "20", "second"));
    stream.event("DELETED", thing("b", 9, "21", "second"));
    await bench().hears("-a1", "+a2", "-b1");
  });

  test("a stream that stays silent is given up and resumed", async () => {
    const stream = await bench().synced();
    const watch = bench().nextWatch();
    await bench().clock.advance(149_999);
    expect(stream.isOpen).toBe(true);
    await bench().clock.advance(1);
    await bench().hears("error");
    await bench().nap();
    (await watch).event("ADDED", thing("b", 1, "6"));
    await bench().hears("+b1");
    await until(() => !stream.isOpen);
    expect(bench().lists()).toBe(1);
  });

  test("a stream with a byte now and then is alive", async () => {
    const stream = await bench().synced();
    for (let i = 0; i < 5; i++) {
      const version = String(10 + i);
      stream.bookmark(version);
      await until(() => bench().reflector.lastSyncResourceVersion === version);
      await bench().clock.advance(60_000);
    }
    expect(stream.isOpen).toBe(true);
    expect(bench().server.requests.length).toBe(1);
  });

  test("an event that cannot be read ends the watch; if it comes again at once, a list steps over it", async () => {
    const stream = await bench().synced();
    stream.event("ADDED", thing("b", 1, "6"));
    stream.raw('{"type":"MODIFIED","object":{"metadata":\n');
    const watch = bench().nextWatch();
    await bench().hears("+b1", "error");
    await bench().nap();
    const second = await watch;
    const listed = bench().streamedList([thing("a", 1, "3"), thing("b", 2, "7")], "9");
    second.raw("again nonsense\n");
    await bench().nap();
    await listed;
    await bench().hears("error", "~b2<b1", "synced@9");
    expect(bench().queries()[1]).toMatchObject({ resourceVersion: "6" });
  });

  test("an error of the server inside the stream is no end of the reflector", async () => {
    const stream = await bench().synced();
    stream.bookmark("6");
    stream.event("ERROR", { kind: "Status", code: 500, reason: "InternalError", message: "etcd" });
    const watch = bench().nextWatch();
    await bench().hears("error");
    await bench().nap();
    (await watch).event("ADDED", thing("b", 1, "7"));
    await bench().hears("+b1");
    expect(bench().lists()).toBe(1);
  });
});

describe("a server in trouble", () => {
  test("errors are answered by waits that grow to 30 s, one attempt at a time", async () => {
    bench().server.otherwise = (_, reply) => reply.status(500, "InternalError");
    bench().reflect();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) waits.push(await bench().nap());
    expect(waits).toEqual([600, 1_200, 2_400, 4_800, 9_600, 19_200, 22_500, 22_500]);
    await bench().server.arrived(9);
    expect(bench().server.requests.length).toBe(9);
  });

  test("nothing is sent before the Retry-After of a 429", async () => {
    bench().server.script.push((_, reply) => reply.status(429, "TooManyRequests", "", { "retry-after": "25" }));
    const listed = bench().streamedList([], "5");
    bench().reflect();
    expect(await bench().nap()).toBe(25_000);
    await listed;
    expect(bench().server.requests.map(({ atMs }) => atMs)).toEqual([0, 25_000]);
  });

  test("after an outage the first answer to anybody wakes the watches", async () => {
    const listed = bench().streamedList([], "5");
    bench().reflect();
    await listed;
    await bench().reflector.synced;
    const restore = await bench().server.outage();
    for (let i = 0; i < 6; i++) await bench().nap();
    await until(() => (bench().clock.nextTimerInMs ?? 30_000) < 30_000);
    await restore();
    const afterMs = bench().clock.monotonicMs();
    const watch = bench().nextWatch();
    bench().server.script.unshift((_, reply) => reply.json(200, {}));
    await bench().transport.request("GET", "/api/v1/leases/x");
    await watch;
    expect(bench().clock.monotonicMs()).toBe(afterMs);
    expect(bench().lists()).toBe(2);
    expect(bench().queries().at(-1)).toMatchObject({ resourceVersion: "5" });
  });

  test("an outage does not lengthen the waits for a server that has just started and still refuses", async () => {
    await bench().synced();
    const restore = await bench().server.outage();
    for (let i = 0; i < 6; i++) await bench().nap();
    await until(() => (bench().clock.nextTimerInMs ?? 30_000) < 30_000);
    await restore();
    bench().server.script.push((_, reply) => reply.status(403, "Forbidden"));
    bench().server.script.push((_, reply) => reply.status(403, "Forbidden"));
    const watch = bench().nextWatch();
    await bench().nap();
    expect([await bench().nap(), await bench().nap()]).toEqual([600, 1_200]);
    await watch;
  });

  test("who asks for a new list does not wait as long as those before", async () => {
    const stream = await bench().synced();
    bench().server.otherwise = (_, reply) => reply.status(500, "InternalError");
    stream.drop();
    for (let i = 0; i < 5; i++) await bench().nap();
    await until(() => (bench().clock.nextTimerInMs ?? 0) > 10_000);
    const asked = bench().reflector.resync();
    await until(() => (bench().clock.nextTimerInMs ?? 30_000) < 1_000);
    const listed = bench().streamedList([], "9");
    await bench().nap();
    await listed;
    expect(await asked).toBe(true);
  });
});
