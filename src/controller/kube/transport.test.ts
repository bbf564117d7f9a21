import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ApiError, isOutcomeUnknown, TransportError } from "./api-error.ts";
import { KubeClient, resourcePath } from "./client.ts";
import { FakeClock, settle, until } from "./clock.test-support.ts";
import { type Answer, FakeApiServer } from "./fake-api-server.test-support.ts";
import { HttpTransport, type RequestRecord, type TransportOptions, type WatchOptions } from "./transport.ts";

const pods = { group: "", version: "v1", plural: "pods", namespace: "a" };
const path = resourcePath(pods);
const ok: Answer = (_, reply) => reply.json(200, { done: true });
const hang: Answer = () => {};
const drop: Answer = (_, reply) => reply.drop();

const requestTimeoutMs = 10_000;

let clock: FakeClock;
let server: FakeApiServer;
let transport: HttpTransport;
let records: RequestRecord[];

beforeEach(async () => {
  clock = new FakeClock();
  records = [];
  server = await FakeApiServer.start(() => clock.monotonicMs());
  transport = connect();
});

afterEach(async () => {
  await transport.close();
  await server.stop();
});

function connect(options: Partial<TransportOptions> = {}): HttpTransport {
  return new HttpTransport({
    config: server.config(),
    clock,
    random: () => 0.5,
    userAgent: "proffer/test",
    onRequest: (record) => records.push(record),
    ...options,
  });
}

function watchOptions(signal = new AbortController().signal): WatchOptions {
  return { query: { watch: true }, signal, onData: () => {}, silenceLimitMs: 60_000 };
}

async function failure(promise: Promise<unknown>): Promise<ApiError | TransportError> {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof ApiError || error instanceof TransportError) return error;
  throw error;
}

/**
 * Lets fake time pass whenever somebody waits between two attempts, until `promise` has settled. Waits are shorter than
 * the limit of a request under way, whose timer does not move as long as time stands still.
 */
async function withTime<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  while (!settled) {
    await until(() => settled || (clock.nextTimerInMs ?? requestTimeoutMs) < requestTimeoutMs);
    await clock.advance(settled ? 0 : (clock.nextTimerInMs ?? 0));
  }
  return promise;
}

describe("answers", () => {
  test("an answer arrives as plain JSON, fields we do not know included", async () => {
    server.script.push((_, reply) => reply.json(200, { metadata: { name: "x", new: { field: [1] } }, "x-y": "ü" }));
    expect(await transport.request("GET", path)).toEqual({ metadata: { name: "x", new: { field: [1] } }, "x-y": "ü" });
    expect(server.requests[0]?.headers.authorization).toBe("Bearer canary");
    expect(server.requests[0]?.headers["accept-encoding"]).toBeUndefined();
  });

  test("a refusal carries Kubernetes' reason and causes, and nothing of the request", async () => {
    server.script.push((_, reply) =>
      reply.json(422, {
        kind: "Status",
        reason: "Invalid",
        message: "pods x is invalid",
        code: 422,
        details: { causes: [{ reason: "FieldValueInvalid", message: "no", field: "spec.nodeName" }] },
      }),
    );
    const error = await failure(transport.request("POST", path, { body: { secret: "canary-body" } }));
    expect(error).toMatchObject({
      kind: "status",
      status: 422,
      reason: "Invalid",
      causes: [{ reason: "FieldValueInvalid", message: "no", field: "spec.nodeName" }],
    });
    expect(JSON.stringify(error) + error.stack).not.toContain("canary");
  });

  test("a proxy's error page leaves nothing but its status", async () => {
    server.script.push((_, reply) => reply.text(403, "<html>canary-page</html>"));
    const error = await failure(transport.request("GET", path));
    expect(error.message).toBe("403");
  });

  test("names in a path are escaped", () => {
    expect(resourcePath({ ...pods, name: "a/../b", subresource: "status" })).toBe(
      "/api/v1/namespaces/a/pods/a%2F..%2Fb/status",
    );
    expect(resourcePath({ group: "proffer.dev", version: "v1", plural: "queues" })).toBe("/apis/proffer.dev/v1/queues");
  });

  test("a server URL may have a path of its own", async () => {
    const config = server.config();
    transport = connect({ config: { ...config, server: `${config.server}/clusters/one/` } });
    server.script.push(ok);
    await transport.request("GET", path, { query: { limit: 5, labelSelector: "a=b,c", none: undefined } });
    expect(server.requests[0]?.path).toBe(`/clusters/one${path}`);
    expect([...(server.requests[0]?.query ?? [])]).toEqual([
      ["limit", "5"],
      ["labelSelector", "a=b,c"],
    ]);
  });

  test("metrics name the verb, the kind of resource and the outcome, never an object", async () => {
    server.script.push(ok, (_, reply) => reply.status(409, "Conflict"));
    const client = new KubeClient(transport, "proffer");
    await client.get({ ...pods, name: "secret-name" });
    await failure(client.mergePatch({ ...pods, name: "secret-name", subresource: "status" }, {}));
    await failure(transport.request("GET", `${path}/secret-name/log`));
    expect(records.map(({ verb, resource, code }) => [verb, resource, code])).toEqual([
      ["get", "pods", "200"],
      ["patch", "pods/status", "409"],
      ["get", "pods/log", "404"],
    ]);
  });
});

describe("what may have happened", () => {
  test.each<{ name: string; answers: Answer[]; unknown: boolean; idempotent?: boolean }>([
    { name: "a create that the server never answered may have happened", answers: [hang], unknown: true },
    { name: "a create whose connection broke may have happened", answers: [drop], unknown: true },
    {
      name: "a create answered by 500 may have happened, for etcd may have stored it",
      answers: [(_, reply) => reply.status(500, "InternalError")],
      unknown: true,
    },
    {
      name: "a create cut off in the middle of its answer may have happened",
      answers: [
        (_, reply) => {
          const stream = reply.stream();
          stream.raw('{"metadata":');
          stream.drop();
        },
      ],
      unknown: true,
    },
    {
      name: "a create refused by 422 has not happened",
      answers: [(_, reply) => reply.status(422, "Invalid")],
      unknown: false,
    },
    {
      name: "a create refused by 429 has not happened",
      answers: [(_, reply) => reply.status(429, "TooManyRequests")],
      unknown: false,
    },
    {
      name: "a create refused on its second attempt may have happened in its first",
      answers: [drop, (_, reply) => reply.status(403, "Forbidden", "exceeded quota")],
      idempotent: true,
      unknown: true,
    },
    {
      name: "a create that finds its name taken on its second attempt is settled",
      answers: [drop, (_, reply) => reply.status(409, "AlreadyExists")],
      idempotent: true,
      unknown: false,
    },
  ])("$name", async ({ answers, unknown, idempotent }) => {
    server.script.push(...answers);
    const request = failure(transport.request("POST", path, { body: {}, idempotent: idempotent ?? false }));
    if (answers[0] === hang) {
      await server.arrived(1);
      await clock.advance(requestTimeoutMs);
    }
    expect(isOutcomeUnknown(await withTime(request))).toBe(unknown);
    expect(server.requests.length).toBe(answers.length);
  });

  test("a create that found no server has not happened, and is tried again", async () => {
    const restore = await server.outage();
    const request = failure(transport.request("POST", path, { body: {}, retries: 2 }));
    const error = await withTime(request);
    await restore();
    expect(error).toMatchObject({ kind: "network", sent: false, outcomeUnknown: false });
    expect(records.map(({ code }) => code)).toEqual(["network", "network", "network"]);
  });

  test("a read never has an unknown outcome", async () => {
    server.script.push(drop);
    expect(isOutcomeUnknown(await failure(transport.request("GET", path, { retries: 0 })))).toBe(false);
  });

  test("a create given up while it waits for a connection is never sent", async () => {
    transport = connect({ connections: 1 });
    server.otherwise = hang;
    const first = failure(transport.request("POST", path, { body: { n: 1 } }));
    await server.arrived(1);
    const giveUp = new AbortController();
    const second = failure(transport.request("POST", path, { body: { n: 2 }, signal: giveUp.signal }));
    giveUp.abort();
    expect(await second).toMatchObject({ kind: "aborted", sent: false, outcomeUnknown: false });
    server.otherwise = ok;
    await clock.advance(requestTimeoutMs);
    expect(await first).toMatchObject({ kind: "timeout", sent: true, outcomeUnknown: true });
    await transport.request("POST", path, { body: { n: 3 } });
    expect(server.requests.map(({ body }) => body)).toEqual([{ n: 1 }, { n: 3 }]);
  });
});

describe("retries", () => {
  test("what may be sent twice is sent again after a 500, byte for byte the same", async () => {
    server.script.push((_, reply) => reply.status(500, "InternalError"), drop, ok);
    const body = { metadata: { name: "x" }, spec: { b: 1, a: [2] } };
    await withTime(transport.request("POST", path, { body, idempotent: true }));
    expect(new Set(server.requests.map(({ text }) => text)).size).toBe(1);
    expect(server.requests.length).toBe(3);
  });

  test("a create without a deterministic name is sent once", async () => {
    server.script.push((_, reply) => reply.status(503, "ServiceUnavailable", "", { "retry-after": "1" }));
    expect(await failure(transport.request("POST", path, { body: {} }))).toMatchObject({ retryAfterMs: 1_000 });
    expect(server.requests.length).toBe(1);
  });

  test("retries end, and waits between them grow to a limit", async () => {
    server.otherwise = (_, reply) => reply.status(500, "InternalError");
    await withTime(failure(transport.request("GET", path, { retries: 8 })));
    const times = server.requests.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(waits).toEqual([187.5, 375, 750, 1_500, 3_000, 6_000, 6_000, 6_000]);
  });

  test("a token that is refused once is read anew; one refused twice is an error", async () => {
    const seen: (string | undefined)[] = [];
    const config = server.config();
    const first = await config.authorize();
    const renewed = { authorization: "Bearer renewed" };
    transport = connect({
      config: { ...config, authorize: (rejected) => Promise.resolve(rejected === first ? renewed : first) },
    });
    server.otherwise = (request, reply) => {
      seen.push(request.headers.authorization);
      reply.status(401, "Unauthorized");
    };
    expect(await failure(transport.request("POST", path, { body: {} }))).toMatchObject({ status: 401 });
    expect(seen).toEqual(["Bearer canary", "Bearer renewed"]);
  });
});

describe("a 429", () => {
  const tooMany: Answer = (_, reply) => reply.status(429, "TooManyRequests", "", { "retry-after": "7" });

  test("nothing at all is sent before its Retry-After has passed", async () => {
    server.script.push(tooMany);
    server.otherwise = (request, reply) => (request.query.has("watch") ? reply.stream().end() : reply.json(200, {}));
    const first = transport.request("GET", path);
    await until(() => records.length === 1);
    const others = [
      transport.request("POST", path, { body: {}, priority: "high" }),
      transport.request("GET", path, { priority: "low" }),
      transport.watch(path, watchOptions()),
    ];
    await until(() => clock.pendingTimers === 3 || server.requests.length > 1);
    await clock.advance(6_999);
    await clock.advance(1);
    await Promise.all([first, ...others]);
    expect(server.requests.slice(1).map(({ atMs }) => atMs)).toEqual([7_000, 7_000, 7_000, 7_000]);
  });

  test.each<{ name: string; send: () => Promise<unknown> }>([
    { name: "request", send: () => transport.request("GET", path) },
    { name: "watch", send: () => transport.watch(path, watchOptions()) },
  ])("a $name that already had its turn but was not yet sent is called back", async ({ send }) => {
    let release = (): void => {};
    const config = server.config();
    const headers = await config.authorize();
    const slow = new Promise<typeof headers>((resolve) => {
      release = () => resolve(headers);
    });
    const answers = [Promise.resolve(headers), slow];
    transport = connect({ config: { ...config, authorize: () => answers.shift() ?? Promise.resolve(headers) } });
    let answer = (): void => {};
    server.script.push((request, reply) => {
      answer = () => tooMany(request, reply);
    });
    server.otherwise = ok;
    const first = failure(transport.request("GET", path, { retries: 0 }));
    await server.arrived(1);
    const second = send();
    answer();
    await first;
    release();
    await until(() => clock.nextTimerInMs === 7_000 || server.requests.length > 1);
    await clock.advance(7_000);
    await second;
    expect(server.requests.map(({ atMs }) => atMs)).toEqual([0, 7_000]);
  });

  test("the leader's lease is renewed meanwhile", async () => {
    server.script.push(tooMany);
    server.otherwise = ok;
    await failure(transport.request("GET", path, { retries: 0 }));
    await transport.request("PUT", path, { body: {}, urgent: true });
    expect(server.requests[1]?.atMs).toBe(0);
  });
});

describe("order and limits", () => {
  test("no more requests are under way than there are connections, and launches overtake status writes", async () => {
    transport = connect({ connections: 1 });
    let release = (): void => {};
    server.script.push((_, reply) => {
      release = () => reply.json(200, {});
    });
    server.otherwise = ok;
    const blocker = transport.request("GET", path);
    await server.arrived(1);
    const sent = (["low", "normal", "low", "high"] as const).map((priority, n) =>
      transport.request("POST", path, { body: { priority, n }, priority }),
    );
    await settle();
    expect(server.requests.length).toBe(1);
    release();
    await Promise.all([blocker, ...sent]);
    expect(server.requests.slice(1).map(({ body }) => body)).toEqual([
      { priority: "high", n: 3 },
      { priority: "normal", n: 1 },
      { priority: "low", n: 0 },
      { priority: "low", n: 2 },
    ]);
  });

  test("watches do not use up the connections of requests", async () => {
    transport = connect({ connections: 1 });
    server.otherwise = (request, reply) => (request.query.has("watch") ? void reply.stream() : reply.json(200, {}));
    const stop = new AbortController();
    const watches = [1, 2].map(() => failure(transport.watch(path, watchOptions(stop.signal))));
    await server.arrived(2);
    await transport.request("GET", path);
    stop.abort();
    expect(await Promise.all(watches)).toMatchObject([{ kind: "aborted" }, { kind: "aborted" }]);
  });
});

describe("the fence of a leader (deleting its check must fail these)", () => {
  test("a leader whose term is over sends nothing", async () => {
    server.otherwise = ok;
    expect(await failure(transport.request("POST", path, { body: {}, fence: () => false }))).toMatchObject({
      kind: "fenced",
      sent: false,
      outcomeUnknown: false,
    });
    expect(server.requests).toEqual([]);
  });

  test("a request that waits for its turn past the end of the term is not sent", async () => {
    transport = connect({ connections: 1 });
    let leading = true;
    let release = (): void => {};
    server.script.push((_, reply) => {
      release = () => reply.json(200, {});
    });
    server.otherwise = ok;
    const blocker = transport.request("GET", path);
    await server.arrived(1);
    const late = failure(transport.request("POST", path, { body: {}, fence: () => leading }));
    leading = false;
    release();
    await blocker;
    expect(await late).toMatchObject({ kind: "fenced", sent: false });
    expect(server.requests.length).toBe(1);
  });

  test("a retry past the end of the term is not sent, and the first attempt may have happened", async () => {
    let leading = true;
    server.script.push((_, reply) => {
      leading = false;
      reply.drop();
    });
    const fence = (): boolean => leading;
    const error = await withTime(failure(transport.request("POST", path, { body: {}, idempotent: true, fence })));
    expect(error).toMatchObject({ kind: "fenced", outcomeUnknown: true });
    expect(server.requests.length).toBe(1);
  });

  test("a term that ends while the connection is being made stops the request before its first byte", async () => {
    let asked = 0;
    server.otherwise = ok;
    // True when the request gets its slot, false when its connection stands.
    const fence = (): boolean => asked++ === 0;
    expect(await failure(transport.request("POST", path, { body: {}, fence }))).toMatchObject({
      kind: "fenced",
      sent: false,
    });
    expect(server.requests).toEqual([]);
  });
});

test("whoever waits for the server hears when it is back", async () => {
  let heard = 0;
  const stop = transport.onReachable(() => heard++);
  server.otherwise = ok;
  await transport.request("GET", path);
  expect(heard).toBe(0);
  const restore = await server.outage();
  await failure(transport.request("GET", path, { retries: 0 }));
  await restore();
  await transport.request("GET", path);
  await transport.request("GET", path);
  expect(heard).toBe(1);
  stop();
});

describe("the verbs of the client", () => {
  test("patches name their kind, deletes their preconditions, dry runs their dryness", async () => {
    server.otherwise = ok;
    const client = new KubeClient(transport, "proffer");
    const pod = { ...pods, name: "p" };
    await client.mergePatch(pod, { metadata: { finalizers: null } });
    await client.apply({ ...pod, subresource: "status" }, { kind: "Pod" });
    await client.delete(pod, { uid: "u1", gracePeriodSeconds: 0 });
    await client.createDryRun(pods, { kind: "Pod" });
    const seen = server.requests.map(({ method, query, headers, body }) => [
      method,
      Object.fromEntries(query),
      headers["content-type"],
      body,
    ]);
    expect(seen).toEqual([
      ["PATCH", { fieldManager: "proffer" }, "application/merge-patch+json", { metadata: { finalizers: null } }],
      ["PATCH", { fieldManager: "proffer", force: "true" }, "application/apply-patch+yaml", { kind: "Pod" }],
      [
        "DELETE",
        {},
        "application/json",
        { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: "u1" }, gracePeriodSeconds: 0 },
      ],
      ["POST", { fieldManager: "proffer", dryRun: "All" }, "application/json", { kind: "Pod" }],
    ]);
  });

  test("absence is a value for find, an error for get", async () => {
    const client = new KubeClient(transport, "proffer");
    expect(await client.find({ ...pods, name: "p" })).toBeUndefined();
    expect(await failure(client.get({ ...pods, name: "p" }))).toMatchObject({ status: 404, reason: "NotFound" });
  });
});
