import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { ERRORS } from "./errors.ts";
import { anna, bert, startTestServer, type TestServer } from "./server.test-support.ts";
import { taskView } from "./views.test-support.ts";

const running: TestServer[] = [];
const start = async (options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> => {
  const started = await startTestServer(options);
  running.push(started);
  return started;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ server }) => server.close()));
});

const explained = ["/explain/task/team-a/train", "/explain/framework/team-a/etl", "/explain/queue/research"];

describe("health", () => {
  test.each([
    { standing: { role: "leader", open: true }, status: 200, body: "leader" },
    { standing: { role: "standby", leader: "proffer-1_abc" }, status: 200, body: "standby" },
    { standing: { role: "leader", open: false }, status: 503, body: "not-ready" },
    { standing: { role: "starting" }, status: 503, body: "not-ready" },
  ] as const)("readiness of $standing is $status", async ({ standing, status, body }) => {
    const { get, state } = await start();
    state.standing = standing;
    const response = await get("/readyz", { accept: "text/plain" });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(body);
    expect((await get("/healthz")).status).toBe(200);
  });

  test("needs no token and tells strangers nothing but itself", async () => {
    const { get, api } = await start();
    expect(await (await get("/readyz")).json()).toEqual({ status: "leader" });
    expect(api.sent).toEqual([]);
  });
});

test("/ lists everything that is served", async () => {
  const { get } = await start();
  const { paths } = (await (await get("/")).json()) as { paths: { path: string }[] };
  expect(paths.map(({ path }) => path)).toEqual([
    "/healthz",
    "/readyz",
    "/metrics",
    "/explain/task/{namespace}/{name}",
    "/explain/framework/{namespace}/{name}",
    "/explain/queue/{name}",
  ]);
});

describe("/metrics", () => {
  test("is for those who may get /metrics", async () => {
    const { get } = await start();
    const response = await get("/metrics", anna);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("version=0.0.4");
    expect(await response.text()).toContain("proffer_build_info");
  });

  test.each([
    { name: "no token", headers: {}, status: 401 },
    { name: "a made-up token", headers: { authorization: "Bearer made-up" }, status: 401 },
    { name: "a token without the right", headers: bert, status: 403 },
  ])("is not for $name (guards T24)", async ({ headers, status }) => {
    const { get } = await start();
    const response = await get("/metrics", headers as Record<string, string>);
    expect(response.status).toBe(status);
    expect(await response.text()).not.toContain("proffer_");
  });

  test("is for nobody while the API server cannot be asked (guards T22)", async () => {
    const { get, api } = await start();
    api.instead = () => Promise.reject(new Error("down"));
    const response = await get("/metrics", anna);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: "auth-unavailable" });
  });

  test("is for everybody on a loopback address, if that is asked for", async () => {
    const { get, api } = await start({ metricsAuth: false });
    expect((await get("/metrics")).status).toBe(200);
    expect(api.sent).toEqual([]);
  });

  test("without authentication does not start on any other address", async () => {
    await expect(start({ metricsAuth: false, host: "0.0.0.0" })).rejects.toThrow(/loopback/);
  });

  test("stays open on a standby: its own numbers are of use too", async () => {
    const { get, state } = await start();
    state.standing = { role: "standby" };
    expect((await get("/metrics", anna)).status).toBe(200);
  });
});

describe("/explain", () => {
  test.each(explained)("%s is for those who may get the object", async (path) => {
    const { get } = await start();
    expect((await get(path, anna)).status).toBe(200);
    expect((await get(path)).status).toBe(401);
  });

  test.each(explained)("%s takes a token that came through the API server's proxy", async (path) => {
    const { get } = await start();
    const proxied = (authorization: string) => ({ "proffer-authorization": authorization });
    expect((await get(path, proxied(anna.authorization))).status).toBe(200);
    expect((await get(path, proxied(bert.authorization))).status).toBe(404);
    expect((await get(path, proxied("Bearer made-up"))).status).toBe(401);
    expect((await get(path, { ...bert, ...proxied(anna.authorization) })).status).toBe(404);
  });

  test("asks the API server about the very object, as the caller (guards T1, T8, T24)", async () => {
    const { get, api } = await start();
    for (const path of explained) await get(path, anna);
    expect(api.accessReviews.map(({ spec }) => [spec.user, spec.resourceAttributes])).toEqual([
      [
        "anna",
        {
          verb: "get",
          group: "proffer.dev",
          version: "v1alpha1",
          resource: "tasks",
          namespace: "team-a",
          name: "train",
        },
      ],
      [
        "anna",
        {
          verb: "get",
          group: "proffer.dev",
          version: "v1alpha1",
          resource: "frameworks",
          namespace: "team-a",
          name: "etl",
        },
      ],
      ["anna", { verb: "get", group: "proffer.dev", version: "v1alpha1", resource: "queues", name: "research" }],
    ]);
  });

  test("what does not exist and what one may not see look exactly the same (guards T1, T8)", async () => {
    const { get, broker, log } = await start();
    broker.taskViews.set("team-b/secret", taskView());
    const seen = async (path: string, headers: Record<string, string>) => {
      const response = await get(path, headers);
      const { date: _, ...rest } = Object.fromEntries(response.headers);
      return { status: response.status, headers: rest, body: await response.text() };
    };
    const unknown = await seen("/explain/task/team-a/gone", anna);
    expect(unknown.status).toBe(404);
    for (const path of ["/explain/task/team-b/secret", "/explain/task/team-b/no-such", "/explain/queue/other"]) {
      expect(await seen(path, anna)).toEqual(unknown);
    }
    for (const path of explained) expect(await seen(path, bert)).toEqual(unknown);
    const events = log.map((line) => JSON.parse(line));
    expect(events).toContainEqual(
      expect.objectContaining({ user: "anna", object: "task team-b/secret", access: "denied", status: 404 }),
    );
  });

  test("nobody learns anything while the API server cannot be asked (guards T22)", async () => {
    const { get, api } = await start();
    await get("/explain/queue/research", anna);
    api.instead = () => Promise.reject(new Error("down"));
    const response = await get("/explain/task/team-a/train", anna);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await response.text()).not.toContain("Pending");
  });

  test.each([
    "/explain/task/team-a/..%2f..%2fmetrics",
    "/explain/task/team-a/Train",
    "/explain/task/team-a/a%00b",
    "/explain/task/team-a/%E2%80%A8",
    "/explain/queue/%2e%2e",
    `/explain/queue/${"a".repeat(64)}`,
    "/explain/task/team-a/train?format=xml",
    "/explain/task/team-a/train?format=json&format=text",
    "/explain/task/team-a/train?x=1",
  ])("%s cannot be an answer", async (path) => {
    const { get, api } = await start();
    const response = await get(path, anna);
    expect([400, 404]).toContain(response.status);
    expect(api.accessReviews).toEqual([]);
  });

  test("a standby says who leads", async () => {
    const { get, state } = await start();
    state.standing = { role: "standby", leader: "proffer-1_abc" };
    for (const path of explained) {
      const response = await get(path, anna);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({
        code: "not-leader",
        message: expect.stringContaining("proffer-1_abc"),
      });
      expect((await get(path)).status).toBe(401);
    }
  });

  test("a leader whose term is not open yet says so", async () => {
    const { get, state } = await start();
    state.standing = { role: "leader", open: false };
    expect(await (await get("/explain/queue/research", anna)).json()).toMatchObject({ code: "not-ready" });
  });

  test("one caller who asks all the time is slowed down, others are not (guards T10)", async () => {
    const { get, api } = await start({ callerRate: { perSecond: 0.001, burst: 3 } });
    api.rights.add("bert get queues research");
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await get("/explain/queue/research", anna)).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect((await get("/explain/queue/research", bert)).status).toBe(200);
  });
});

describe("errors", () => {
  test("come as JSON with code, message and page", async () => {
    const { get } = await start();
    const response = await get("/nothing");
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toEqual({
      code: "not-found",
      message: "There is no such thing here, or you may not see it.",
      page: "docs/reference/http.md#not-found",
    });
  });

  test("come as text to those who ask for text", async () => {
    const { get } = await start();
    const response = await get("/nothing", { accept: "text/plain" });
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await response.text()).toMatch(/^not-found: .*\nSee docs\/reference\/http.md#not-found\n$/);
  });

  test("each has a section in the reference, and the reference has no others", async () => {
    const page = await readFile(new URL("../../docs/reference/http.md", import.meta.url), "utf8");
    const codes = Object.keys(ERRORS);
    const sections = [...page.matchAll(/^### `([a-z-]+)`$/gm)].map(([, code]) => code);
    expect(sections.sort()).toEqual(codes.sort());
    for (const [code, { status }] of Object.entries(ERRORS)) {
      expect(page).toContain(`### \`${code}\`\n\nStatus ${status}. `);
    }
  });

  test("a bug is told to the log, not to the caller", async () => {
    const { get, log } = await start({
      explain: () => {
        throw new Error("secret detail of the program");
      },
    });
    const response = await get("/explain/queue/research", anna);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret detail");
    expect(log.join("")).toContain("secret detail");
  });

  test("only GET is possible", async () => {
    const { url } = await start();
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await fetch(url("/explain/queue/research"), { method, headers: anna });
      expect([method, response.status]).toEqual([method, 405]);
      expect(response.headers.get("allow")).toBe("GET");
    }
  });
});

test("every answer forbids browsers to do anything with it", async () => {
  const { get } = await start();
  for (const path of ["/", "/healthz", "/metrics", "/nothing", "/explain/queue/research", "/%zz"]) {
    const { headers } = await get(path, anna);
    expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    expect(headers.get("content-security-policy"), path).toContain("default-src 'none'");
    expect(headers.get("cache-control"), path).toBe("no-store");
    expect(headers.get("server"), path).toBeNull();
    expect(headers.get("x-powered-by"), path).toBeNull();
  }
});

describe("starting", () => {
  test("on a port that is in use fails with one clear sentence", async () => {
    const { server } = await start();
    await expect(start({ port: server.port })).rejects.toThrow(
      `port ${server.port} of 127.0.0.1 is in use by another process: choose another one with --http-port`,
    );
  });

  test("on an address that is not ours fails with one clear sentence", async () => {
    await expect(start({ host: "192.0.2.1" })).rejects.toThrow("192.0.2.1 is no address of this machine");
  });
});

test("closing ends the listener", async () => {
  const { server, get } = await start();
  await server.close();
  await expect(get("/healthz")).rejects.toThrow();
});
