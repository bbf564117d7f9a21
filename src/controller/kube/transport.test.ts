import { describe, expect, test } from "vitest";
import { isOutcomeUnknown } from "./api-error.ts";
import { KubeClient, resourcePath } from "./client.ts";
import type { Answer } from "./fake-api-server.test-support.ts";
import { drop, failure, hang, ok, path, pods, requestTimeoutMs, useBench } from "./transport.test-support.ts";

const bench = useBench();

describe("answers", () => {
  test("an answer arrives as plain JSON, fields we do not know included", async () => {
    bench().server.script.push((_, reply) =>
      reply.json(200, { metadata: { name: "x", new: { field: [1] } }, "x-y": "ü" }),
    );
    expect(await bench().transport.request("GET", path)).toEqual({
      metadata: { name: "x", new: { field: [1] } },
      "x-y": "ü",
    });
    expect(bench().server.requests[0]?.headers.authorization).toBe("Bearer canary");
    expect(bench().server.requests[0]?.headers["accept-encoding"]).toBeUndefined();
  });

  test("a refusal carries Kubernetes' reason and causes, and nothing of the request", async () => {
    bench().server.script.push((_, reply) =>
      reply.json(422, {
        kind: "Status",
        reason: "Invalid",
        message: "pods x is invalid",
        code: 422,
        details: { causes: [{ reason: "FieldValueInvalid", message: "no", field: "spec.nodeName" }] },
      }),
    );
    const error = await failure(bench().transport.request("POST", path, { body: { secret: "canary-body" } }));
    expect(error).toMatchObject({
      kind: "status",
      status: 422,
      reason: "Invalid",
      causes: [{ reason: "FieldValueInvalid", message: "no", field: "spec.nodeName" }],
    });
    expect(JSON.stringify(error) + error.stack).not.toContain("canary");
  });

  test("a proxy's error page leaves nothing but its status", async () => {
    bench().server.script.push((_, reply) => reply.text(403, "<html>canary-page</html>"));
    const error = await failure(bench().transport.request("GET", path));
    expect(error.message).toBe("403");
  });

  test("names in a path are escaped", () => {
    expect(resourcePath({ ...pods, name: "a/../b", subresource: "status" })).toBe(
      "/api/v1/namespaces/a/pods/a%2F..%2Fb/status",
    );
    expect(resourcePath({ group: "proffer.dev", version: "v1", plural: "queues" })).toBe("/apis/proffer.dev/v1/queues");
  });

  test("a server URL may have a path of its own", async () => {
    const config = bench().server.config();
    await bench().reconnect({ config: { ...config, server: `${config.server}/clusters/one/` } });
    bench().server.script.push(ok);
    await bench().transport.request("GET", path, { query: { limit: 5, labelSelector: "a=b,c", none: undefined } });
    expect(bench().server.requests[0]?.path).toBe(`/clusters/one${path}`);
    expect([...(bench().server.requests[0]?.query ?? [])]).toEqual([
      ["limit", "5"],
      ["labelSelector", "a=b,c"],
    ]);
  });

  test("metrics name the verb, the kind of resource and the outcome, never an object", async () => {
    bench().server.script.push(ok, (_, reply) => reply.status(409, "Conflict"));
    const client = new KubeClient(bench().transport, "proffer");
    await client.get({ ...pods, name: "secret-name" });
    await failure(client.mergePatch({ ...pods, name: "secret-name", subresource: "status" }, {}));
    await failure(bench().transport.request("GET", `${path}/secret-name/log`));
    expect(bench().records.map(({ verb, resource, code }) => [verb, resource, code])).toEqual([
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
    bench().server.script.push(...answers);
    const request = failure(bench().transport.request("POST", path, { body: {}, idempotent: idempotent ?? false }));
    if (answers[0] === hang) {
      await bench().server.arrived(1);
      await bench().clock.advance(requestTimeoutMs);
    }
    expect(isOutcomeUnknown(await bench().withTime(request))).toBe(unknown);
    expect(bench().server.requests.length).toBe(answers.length);
  });

  test("a create that found no server has not happened, and is tried again", async () => {
    const restore = await bench().server.outage();
    const request = failure(bench().transport.request("POST", path, { body: {}, retries: 2 }));
    const error = await bench().withTime(request);
    await restore();
    expect(error).toMatchObject({ kind: "network", sent: false, outcomeUnknown: false });
    expect(bench().records.map(({ code }) => code)).toEqual(["network", "network", "network"]);
  });

  test("a read never has an unknown outcome", async () => {
    bench().server.script.push(drop);
    expect(isOutcomeUnknown(await failure(bench().transport.request("GET", path, { retries: 0 })))).toBe(false);
  });

  test("a create given up while it waits for a connection is never sent", async () => {
    await bench().reconnect({ connections: 1 });
    bench().server.otherwise = hang;
    const first = failure(bench().transport.request("POST", path, { body: { n: 1 } }));
    await bench().server.arrived(1);
    const giveUp = new AbortController();
    const second = failure(bench().transport.request("POST", path, { body: { n: 2 }, signal: giveUp.signal }));
    giveUp.abort();
    expect(await second).toMatchObject({ kind: "aborted", sent: false, outcomeUnknown: false });
    bench().server.otherwise = ok;
    await bench().clock.advance(requestTimeoutMs);
    expect(await first).toMatchObject({ kind: "timeout", sent: true, outcomeUnknown: true });
    await bench().transport.request("POST", path, { body: { n: 3 } });
    expect(bench().server.requests.map(({ body }) => body)).toEqual([{ n: 1 }, { n: 3 }]);
  });
});

describe("retries", () => {
  test("what may be sent twice is sent again after a 500, byte for byte the same", async () => {
    bench().server.script.push((_, reply) => reply.status(500, "InternalError"), drop, ok);
    const body = { metadata: { name: "x" }, spec: { b: 1, a: [2] } };
    await bench().withTime(bench().transport.request("POST", path, { body, idempotent: true }));
    expect(new Set(bench().server.requests.map(({ text }) => text)).size).toBe(1);
    expect(bench().server.requests.length).toBe(3);
  });

  test("a create without a deterministic name is sent once", async () => {
    bench().server.script.push((_, reply) => reply.status(503, "ServiceUnavailable", "", { "retry-after": "1" }));
    expect(await failure(bench().transport.request("POST", path, { body: {} }))).toMatchObject({ retryAfterMs: 1_000 });
    expect(bench().server.requests.length).toBe(1);
  });

  test("retries end, and waits between them grow to a limit", async () => {
    bench().server.otherwise = (_, reply) => reply.status(500, "InternalError");
    await bench().withTime(failure(bench().transport.request("GET", path, { retries: 8 })));
    const times = bench().server.requests.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(waits).toEqual([187.5, 375, 750, 1_500, 3_000, 6_000, 6_000, 6_000]);
  });

  test("a token that is refused once is read anew; one refused twice is an error", async () => {
    const seen: (string | undefined)[] = [];
    const config = bench().server.config();
    const first = await config.authorize();
    const renewed = { authorization: "Bearer renewed" };
    await bench().reconnect({
      config: { ...config, authorize: (rejected) => Promise.resolve(rejected === first ? renewed : first) },
    });
    bench().server.otherwise = (request, reply) => {
      seen.push(request.headers.authorization);
      reply.status(401, "Unauthorized");
    };
    expect(await failure(bench().transport.request("POST", path, { body: {} }))).toMatchObject({ status: 401 });
    expect(seen).toEqual(["Bearer canary", "Bearer renewed"]);
  });
});

test("whoever waits for the server hears when it is back", async () => {
  let heard = 0;
  const stop = bench().transport.onReachable(() => heard++);
  bench().server.otherwise = ok;
  await bench().transport.request("GET", path);
  expect(heard).toBe(0);
  const restore = await bench().server.outage();
  await failure(bench().transport.request("GET", path, { retries: 0 }));
  await restore();
  await bench().transport.request("GET", path);
  await bench().transport.request("GET", path);
  expect(heard).toBe(1);
  stop();
});

describe("the verbs of the client", () => {
  test("patches name their kind, deletes their preconditions, dry runs their dryness", async () => {
    bench().server.otherwise = ok;
    const client = new KubeClient(bench().transport, "proffer");
    const pod = { ...pods, name: "p" };
    await client.mergePatch(pod, { metadata: { finalizers: null } });
    await client.apply({ ...pod, subresource: "status" }, { kind: "Pod" });
    await client.delete(pod, { uid: "u1", gracePeriodSeconds: 0 });
    await client.createDryRun(pods, { kind: "Pod" });
    const seen = bench().server.requests.map(({ method, query, headers, body }) => [
      method,
      Object.fromEntries(query),
      headers["content-type"],
      body,
    ]);
    expect(seen).toEqual([
      [
        "PATCH",
        { fieldManager: "proffer", fieldValidation: "Ignore" },
        "application/merge-patch+json",
        { metadata: { finalizers: null } },
      ],
      [
        "PATCH",
        { fieldManager: "proffer", fieldValidation: "Ignore", force: "true" },
        "application/apply-patch+yaml",
        { kind: "Pod" },
      ],
      [
        "DELETE",
        {},
        "application/json",
        { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: "u1" }, gracePeriodSeconds: 0 },
      ],
      [
        "POST",
        { fieldManager: "proffer", fieldValidation: "Ignore", dryRun: "All" },
        "application/json",
        { kind: "Pod" },
      ],
    ]);
  });

  test("absence is a value for find, an error for get", async () => {
    const client = new KubeClient(bench().transport, "proffer");
    expect(await client.find({ ...pods, name: "p" })).toBeUndefined();
    expect(await failure(client.get({ ...pods, name: "p" }))).toMatchObject({ status: 404, reason: "NotFound" });
  });
});

describe("what is no object of the API", () => {
  test("comes as it is, whatever its status, with further headers made of our credentials", async () => {
    const { server, transport } = bench();
    server.script.push((_, reply) => reply.text(503, "not now", { "content-type": "text/plain" }));
    const headers = ({ authorization = "" }) => ({ "x-forwarded-token": authorization });
    expect(await transport.raw("/proxy/x", { query: { a: "b c" }, headers })).toEqual({ status: 503, text: "not now" });
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      method: "GET",
      path: "/proxy/x",
      headers: { authorization: "Bearer canary", "x-forwarded-token": "Bearer canary" },
    });
    expect(server.requests[0]?.query.get("a")).toBe("b c");
  });

  test("is asked for once: without an answer it fails", async () => {
    bench().server.script.push(drop);
    expect(await failure(bench().transport.raw("/proxy/x"))).toMatchObject({ kind: "network", sent: true });
    expect(bench().server.requests).toHaveLength(1);
  });
});
