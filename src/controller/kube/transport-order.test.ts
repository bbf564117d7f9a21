import { describe, expect, test } from "vitest";
import { settle, until } from "./clock.test-support.ts";
import type { Answer } from "./fake-api-server.test-support.ts";
import { failure, ok, path, useBench, watchOptions } from "./transport.test-support.ts";

const bench = useBench();

describe("a 429", () => {
  const tooMany: Answer = (_, reply) => reply.status(429, "TooManyRequests", "", { "retry-after": "7" });

  test("nothing at all is sent before its Retry-After has passed", async () => {
    bench().server.script.push(tooMany);
    bench().server.otherwise = (request, reply) =>
      request.query.has("watch") ? reply.stream().end() : reply.json(200, {});
    const first = bench().transport.request("GET", path);
    await until(() => bench().records.length === 1);
    const others = [
      bench().transport.request("POST", path, { body: {}, priority: "high" }),
      bench().transport.request("GET", path, { priority: "low" }),
      bench().transport.stream(path, watchOptions()),
    ];
    await until(() => bench().clock.pendingTimers === 3 || bench().server.requests.length > 1);
    await bench().clock.advance(6_999);
    await bench().clock.advance(1);
    await Promise.all([first, ...others]);
    expect(
      bench()
        .server.requests.slice(1)
        .map(({ atMs }) => atMs),
    ).toEqual([7_000, 7_000, 7_000, 7_000]);
  });

  test.each<{ name: string; send: () => Promise<unknown> }>([
    { name: "request", send: () => bench().transport.request("GET", path) },
    { name: "watch", send: () => bench().transport.stream(path, watchOptions()) },
  ])("a $name that already had its turn but was not yet sent is called back", async ({ send }) => {
    let release = (): void => {};
    const config = bench().server.config();
    const headers = await config.authorize();
    const slow = new Promise<typeof headers>((resolve) => {
      release = () => resolve(headers);
    });
    const answers = [Promise.resolve(headers), slow];
    await bench().reconnect({ config: { ...config, authorize: () => answers.shift() ?? Promise.resolve(headers) } });
    let answer = (): void => {};
    bench().server.script.push((request, reply) => {
      answer = () => tooMany(request, reply);
    });
    bench().server.otherwise = ok;
    const first = failure(bench().transport.request("GET", path, { retries: 0 }));
    await bench().server.arrived(1);
    const second = send();
    answer();
    await first;
    release();
    await until(() => bench().clock.nextTimerInMs === 7_000 || bench().server.requests.length > 1);
    await bench().clock.advance(7_000);
    await second;
    expect(bench().server.requests.map(({ atMs }) => atMs)).toEqual([0, 7_000]);
  });

  test("the leader's lease is renewed meanwhile", async () => {
    bench().server.script.push(tooMany);
    bench().server.otherwise = ok;
    await failure(bench().transport.request("GET", path, { retries: 0 }));
    await bench().transport.request("PUT", path, { body: {}, urgent: true });
    expect(bench().server.requests[1]?.atMs).toBe(0);
  });
});

describe("order and limits", () => {
  test("no more requests are under way than there are connections, and launches overtake status writes", async () => {
    await bench().reconnect({ connections: 1 });
    let release = (): void => {};
    bench().server.script.push((_, reply) => {
      release = () => reply.json(200, {});
    });
    bench().server.otherwise = ok;
    const blocker = bench().transport.request("GET", path);
    await bench().server.arrived(1);
    const sent = (["low", "normal", "low", "high"] as const).map((priority, n) =>
      bench().transport.request("POST", path, { body: { priority, n }, priority }),
    );
    await settle();
    expect(bench().server.requests.length).toBe(1);
    release();
    await Promise.all([blocker, ...sent]);
    expect(
      bench()
        .server.requests.slice(1)
        .map(({ body }) => body),
    ).toEqual([
      { priority: "high", n: 3 },
      { priority: "normal", n: 1 },
      { priority: "low", n: 0 },
      { priority: "low", n: 2 },
    ]);
  });

  test("watches do not use up the connections of requests", async () => {
    await bench().reconnect({ connections: 1 });
    bench().server.otherwise = (request, reply) =>
      request.query.has("watch") ? void reply.stream() : reply.json(200, {});
    const stop = new AbortController();
    const watches = [1, 2].map(() => failure(bench().transport.stream(path, watchOptions(stop.signal))));
    await bench().server.arrived(2);
    await bench().transport.request("GET", path);
    stop.abort();
    expect(await Promise.all(watches)).toMatchObject([{ kind: "aborted" }, { kind: "aborted" }]);
  });
});

describe("the fence of a leader (deleting its check must fail these)", () => {
  test("a leader whose term is over sends nothing", async () => {
    bench().server.otherwise = ok;
    expect(await failure(bench().transport.request("POST", path, { body: {}, fence: () => false }))).toMatchObject({
      kind: "fenced",
      sent: false,
      outcomeUnknown: false,
    });
    expect(bench().server.requests).toEqual([]);
  });

  test("a request that waits for its turn past the end of the term is not sent", async () => {
    await bench().reconnect({ connections: 1 });
    let leading = true;
    let release = (): void => {};
    bench().server.script.push((_, reply) => {
      release = () => reply.json(200, {});
    });
    bench().server.otherwise = ok;
    const blocker = bench().transport.request("GET", path);
    await bench().server.arrived(1);
    const late = failure(bench().transport.request("POST", path, { body: {}, fence: () => leading }));
    leading = false;
    release();
    await blocker;
    expect(await late).toMatchObject({ kind: "fenced", sent: false });
    expect(bench().server.requests.length).toBe(1);
  });

  test("a retry past the end of the term is not sent, and the first attempt may have happened", async () => {
    let leading = true;
    bench().server.script.push((_, reply) => {
      leading = false;
      reply.drop();
    });
    const fence = (): boolean => leading;
    const error = await bench().withTime(
      failure(bench().transport.request("POST", path, { body: {}, idempotent: true, fence })),
    );
    expect(error).toMatchObject({ kind: "fenced", outcomeUnknown: true });
    expect(bench().server.requests.length).toBe(1);
  });

  test("a term that ends while the connection is being made stops the request before its first byte", async () => {
    let asked = 0;
    bench().server.otherwise = ok;
    // True when the request gets its slot, false when its connection stands.
    const fence = (): boolean => asked++ === 0;
    expect(await failure(bench().transport.request("POST", path, { body: {}, fence }))).toMatchObject({
      kind: "fenced",
      sent: false,
    });
    expect(bench().server.requests).toEqual([]);
  });
});
