import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock, until } from "../../controller/kube/clock.test-support.ts";
import { type Answer, FakeApiServer } from "../../controller/kube/fake-api-server.test-support.ts";
import type { Session } from "../connection.ts";
import { kindOf } from "../kinds.ts";
import { TestTerminal, testSession } from "../session.test-support.ts";
import { explain } from "./command.ts";
import { explainFromStatus } from "./from-status.ts";

const condition = (type: string, status: string, reason: string, message: string) => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: "2026-01-01T00:00:00Z",
});
const task = {
  kind: "Task",
  metadata: { name: "t", namespace: "a" },
  spec: { instances: 3 },
  status: {
    state: "Pending",
    counts: { pending: 2, failed: 1, running: 0 },
    failedIndexes: "1",
    lastFailures: [{ at: "2026-01-01T00:00:01Z", index: 1, attempt: 0, node: "n", reason: "exit-code", message: "m" }],
    conditions: [
      condition("Accepted", "True", "Accepted", ""),
      condition("Waiting", "True", "NoNode", "3 nodes: too small"),
    ],
  },
};

let server: FakeApiServer;
let terminal: TestTerminal;
let clock: FakeClock;
/** What is behind the proxy. */
let operator: Answer;
let directory: Answer;

beforeEach(async () => {
  server = await FakeApiServer.start();
  terminal = new TestTerminal();
  clock = new FakeClock();
  directory = (_, reply) => reply.json(200, { data: { namespace: "sys", service: "proffer", port: "http" } });
  operator = (_, reply) => reply.text(200, "Task a/t: Pending\n");
  server.otherwise = (request, reply) => {
    if (request.path === "/api/v1/namespaces/kube-public/configmaps/proffer") directory(request, reply);
    else if (request.path.startsWith("/api/v1/namespaces/sys/services/")) operator(request, reply);
    else if (request.path === "/apis/proffer.dev/v1alpha1/namespaces/a/tasks/t") reply.json(200, task);
    else reply.status(404, "NotFound", "not found");
  };
});
afterEach(() => server.stop());

const session = (credentials?: Record<string, string>): Session => testSession(server, terminal, clock, credentials);
const ask = (output: "text" | "json" = "text", name = "t", one = session()) =>
  explain(one, kindOf("task"), name, { output });
const proxied = () => server.requests.filter(({ path }) => path.includes("/proxy/"));
const problem =
  (status: number, code: string): Answer =>
  (_, reply) =>
    reply.json(status, { code, message: `about ${code}`, page: "" });

describe("the operator", () => {
  test("is asked through the API server's proxy, with the token in a header that gets through", async () => {
    expect(await ask()).toBe("Task a/t: Pending\n");
    const [request] = proxied();
    expect(request?.path).toBe("/api/v1/namespaces/sys/services/http%3Aproffer%3Ahttp/proxy/explain/task/a/t");
    expect(request?.query.get("format")).toBe("text");
    expect(request?.headers["proffer-authorization"]).toBe("Bearer canary");
    expect(terminal.notes).toEqual([]);
  });

  test("is asked until the leader answers", async () => {
    let asked = 0;
    operator = (request, reply) =>
      ++asked < 9 ? problem(503, "not-leader")(request, reply) : reply.text(200, "from the leader");
    expect(await ask()).toBe("from the leader");
  });

  test("is given a moment to open its term", async () => {
    let asked = 0;
    operator = (request, reply) => (++asked < 3 ? problem(503, "not-ready")(request, reply) : reply.text(200, "ready"));
    const answer = ask();
    while (asked < 3) {
      await until(() => asked >= 3 || clock.nextTimerInMs === 500);
      await clock.advance(asked >= 3 ? 0 : 500);
    }
    expect(await answer).toBe("ready");
  });

  test("is shown no token where there is no place to show it to", async () => {
    directory = (_, reply) => reply.status(404, "NotFound");
    await ask();
    expect(JSON.stringify(server.requests.map(({ headers }) => headers))).not.toContain("proffer-authorization");
  });
});

describe("what the status says", () => {
  test.each<[what: string, setUp: () => void, why: string]>([
    [
      "the chart tells nothing",
      () => (directory = (_, reply) => reply.status(403, "Forbidden")),
      "http.throughApiServer",
    ],
    [
      "the proxy is not for us",
      () => (operator = (_, reply) => reply.status(403, "Forbidden", "you cannot")),
      "you cannot",
    ],
    ["no operator runs", () => (operator = (_, reply) => reply.text(502, "<html>")), "status 502"],
    ["another audience is wanted", () => (operator = problem(401, "unauthenticated")), "does not take your token"],
    ["it does not know the object yet", () => (operator = problem(404, "not-found")), "does not know it"],
    ["the operator has a bug", () => (operator = problem(500, "internal")), "about internal"],
    ["the connection breaks", () => (operator = (_, reply) => reply.drop()), "cannot be reached"],
    ["nobody leads", () => (operator = problem(503, "not-leader")), "about not-leader"],
  ])("is shown, with a word, when %s", async (_, setUp, why) => {
    setUp();
    expect(await ask()).toContain("no-node: 3 nodes: too small");
    expect(terminal.notes.join()).toContain(why);
    expect(terminal.notes).toHaveLength(1);
  });

  test("is shown to those who have no token", async () => {
    operator = problem(401, "unauthenticated");
    expect(await ask("text", "t", session({}))).toContain("no-node");
    expect(terminal.notes.join()).toContain("your credentials have none");
  });

  test("is shown to those who act as somebody else: the operator would answer them, not the other", async () => {
    expect(await explain(session(), kindOf("task"), "t", { output: "text", as: "bert" })).toContain("no-node");
    expect(proxied()).toEqual([]);
  });

  test("is not there for what does not exist", async () => {
    operator = problem(404, "not-found");
    await expect(ask("text", "absent")).rejects.toThrow("there is no task absent in namespace a");
  });

  test("reads as the operator's own words", () => {
    expect(explainFromStatus(task).text.split("\n")).toEqual([
      "Task a/t: Pending",
      "  Instances:   3 (pending 2, failed 1)",
      "  Failed:      1",
      "  Failure:     2026-01-01T00:00:01Z index 1, attempt 0 on n: exit-code: m",
      "  Why:         no-node: 3 nodes: too small",
      "  Means:       No node fits.",
      "  What to do:  Read the numbers in the message: they say what each node lacks.",
      "  As of:       2026-01-01T00:00:00Z",
      "",
    ]);
  });

  test("is JSON where that is wanted", async () => {
    operator = problem(500, "internal");
    expect(JSON.parse(await ask("json"))).toMatchObject({
      kind: "Task",
      from: "status",
      why: { reason: "no-node", message: "3 nodes: too small", meaning: "No node fits." },
      status: { state: "Pending" },
    });
  });

  test.each([
    [
      {
        kind: "Framework",
        metadata: { name: "f", namespace: "a" },
        status: { queue: "q", share: "1.0%", allocated: { cpu: "1" }, why: "nothing is waiting" },
      },
      [
        "Framework a/f in queue q",
        "Allocated:       cpu 1",
        "Demand:          nothing",
        "Why:             nothing is waiting",
      ],
    ],
    [
      { kind: "Queue", metadata: { name: "q" }, spec: { parent: "p", weight: 2 }, status: { frameworks: 0 } },
      ["Queue q below p, weight 2", "Frameworks:  0"],
    ],
    [
      { kind: "Task", metadata: { name: "n", namespace: "a" }, spec: { instances: 1 } },
      ["not looked at by the operator yet"],
    ],
    [
      {
        kind: "Framework",
        metadata: { name: "f", namespace: "a" },
        status: { conditions: [condition("Accepted", "False", "UnknownQueue", "there is no queue x")] },
      },
      ["unknown-queue: there is no queue x", "The queue does not exist."],
    ],
  ])("of %j is told", (object, expected) => {
    for (const part of expected) expect(explainFromStatus(object).text).toContain(part);
  });
});
