import { describe, expect, test } from "vitest";
import { type Caller, postOver, Reviews, type ReviewsOptions } from "./auth.ts";
import { FakeApi } from "./fake-api.test-support.ts";

function setUp(options: Partial<ReviewsOptions> = {}) {
  const api = new FakeApi();
  api.users.set("token-of-anna", { username: "anna" });
  api.rights.add("anna get tasks team-a/train");
  const time = { ms: 0 };
  const reviews = new Reviews({ post: api.post, monotonicMs: () => time.ms, ...options });
  return { api, time, reviews };
}

const train = {
  resourceAttributes: {
    verb: "get",
    group: "proffer.dev",
    version: "v1alpha1",
    resource: "tasks",
    namespace: "team-a",
    name: "train",
  },
};

async function callerOf(reviews: Reviews, token: string): Promise<Caller> {
  const answer = await reviews.authenticate(`Bearer ${token}`);
  if (answer.outcome !== "caller") throw new Error(answer.outcome);
  return answer.caller;
}

describe("who calls", () => {
  test("is whom the API server names", async () => {
    const { reviews } = setUp();
    const { username, groups } = await callerOf(reviews, "token-of-anna");
    expect({ username, groups }).toEqual({ username: "anna", groups: ["system:authenticated"] });
  });

  test("is nobody with a token that the API server does not know", async () => {
    const { reviews } = setUp();
    expect(await reviews.authenticate("Bearer made-up")).toEqual({ outcome: "unauthenticated" });
  });

  test.each([
    { name: "no header", header: undefined },
    { name: "an empty header", header: "" },
    { name: "another scheme", header: "Basic YTpi" },
    { name: "no token", header: "Bearer " },
    { name: "a token with a blank", header: "Bearer a b" },
    { name: "a token with a control character", header: "Bearer a\u0007b" },
    { name: "a token of 9,000 characters", header: `Bearer ${"a".repeat(9_000)}` },
  ])("is nobody with $name, and the API server is not even asked", async ({ header }) => {
    const { api, reviews } = setUp();
    expect(await reviews.authenticate(header)).toEqual({ outcome: "unauthenticated" });
    expect(api.sent).toEqual([]);
  });

  test("is asked once a minute, not at every request", async () => {
    const { api, time, reviews } = setUp();
    await callerOf(reviews, "token-of-anna");
    time.ms = 59_999;
    await callerOf(reviews, "token-of-anna");
    expect(api.tokenReviews).toHaveLength(1);
    time.ms = 60_000;
    await callerOf(reviews, "token-of-anna");
    expect(api.tokenReviews).toHaveLength(2);
  });

  test("is forgotten within a minute of a deleted account, whatever the options say (guards T22)", async () => {
    const { api, time, reviews } = setUp({ positiveMs: 3_600_000 });
    await callerOf(reviews, "token-of-anna");
    api.users.clear();
    time.ms = 60_000;
    expect(await reviews.authenticate("Bearer token-of-anna")).toEqual({ outcome: "unauthenticated" });
  });

  test("is believed to be nobody for five seconds", async () => {
    const { api, time, reviews } = setUp();
    await reviews.authenticate("Bearer new");
    api.users.set("new", { username: "nora" });
    time.ms = 4_999;
    expect((await reviews.authenticate("Bearer new")).outcome).toBe("unauthenticated");
    time.ms = 5_000;
    expect((await reviews.authenticate("Bearer new")).outcome).toBe("caller");
  });

  test("is not pushed out of memory by made-up tokens", async () => {
    const { api, reviews } = setUp({ remembered: 4 });
    await callerOf(reviews, "token-of-anna");
    for (let i = 0; i < 20; i++) await reviews.authenticate(`Bearer made-up-${i}`);
    const before = api.sent.length;
    await callerOf(reviews, "token-of-anna");
    expect(api.sent).toHaveLength(before);
  });

  test("is asked once for a hundred requests at the same time", async () => {
    const { api, reviews } = setUp();
    const answers = await Promise.all(Array.from({ length: 100 }, () => reviews.authenticate("Bearer token-of-anna")));
    expect(answers.every(({ outcome }) => outcome === "caller")).toBe(true);
    expect(api.sent).toHaveLength(1);
  });
});

describe("audiences (guard T22)", () => {
  test("without one of our own, tokens for the API server are good", async () => {
    const { api, reviews } = setUp();
    await callerOf(reviews, "token-of-anna");
    expect(api.tokenReviews[0]?.spec).toEqual({ token: "token-of-anna" });
  });

  test("with one of our own, a token for the API server is no good, and one for us is", async () => {
    const { api, reviews } = setUp({ audience: "proffer.dev" });
    api.users.set("for-us", { username: "anna", audiences: ["proffer.dev"] });
    expect((await reviews.authenticate("Bearer token-of-anna")).outcome).toBe("unauthenticated");
    expect((await reviews.authenticate("Bearer for-us")).outcome).toBe("caller");
  });

  test("an API server that ignores audiences lets nobody in where we ask for one", async () => {
    const { api, reviews } = setUp({ audience: "proffer.dev" });
    api.instead = async () => ({ status: { authenticated: true, user: { username: "anna" } } });
    expect((await reviews.authenticate("Bearer token-of-anna")).outcome).toBe("unauthenticated");
  });
});

describe("without a clear yes nobody gets in (guards T22)", () => {
  test.each([
    { name: "the API server is down", answer: () => Promise.reject(new Error("ECONNREFUSED")) },
    { name: "the answer is empty", answer: async () => undefined },
    { name: "the answer is no review", answer: async () => "authenticated: true" },
    { name: "authenticated is a text", answer: async () => ({ status: { authenticated: "true", user: {} } }) },
  ])("when $name, nobody can be told apart", async ({ answer }) => {
    const { api, reviews } = setUp();
    api.instead = answer;
    expect(await reviews.authenticate("Bearer token-of-anna")).toEqual({ outcome: "unavailable" });
  });

  test.each([
    { name: "a user who is not authenticated", status: { authenticated: false, user: { username: "anna" } } },
    { name: "a user of whom nothing is said", status: { user: { username: "anna" } } },
    { name: "no user", status: { authenticated: true } },
    { name: "a user without a name", status: { authenticated: true, user: { username: "" } } },
    { name: "the anonymous user", status: { authenticated: true, user: { username: "system:anonymous" } } },
    { name: "no status", status: undefined },
  ])("$name is nobody", async ({ status }) => {
    const { api, reviews } = setUp();
    api.instead = async () => ({ status });
    expect(await reviews.authenticate("Bearer token-of-anna")).toEqual({ outcome: "unauthenticated" });
  });

  test("an outage is told to the log and not remembered", async () => {
    const failures: unknown[] = [];
    const { api, reviews } = setUp({ onFailure: (error) => failures.push(error) });
    api.instead = () => Promise.reject(new Error("down"));
    await reviews.authenticate("Bearer token-of-anna");
    api.instead = undefined;
    expect((await reviews.authenticate("Bearer token-of-anna")).outcome).toBe("caller");
    expect(failures).toHaveLength(1);
  });

  test.each([
    { name: "the API server is down", answer: () => Promise.reject(new Error("down")), may: "unavailable" },
    { name: "the answer has no status", answer: async () => ({}), may: "unavailable" },
    { name: "allowed is a text", answer: async () => ({ status: { allowed: "yes" } }), may: "unavailable" },
    { name: "it is denied too", answer: async () => ({ status: { allowed: true, denied: true } }), may: "denied" },
  ])("when $name, the right is not there", async ({ answer, may }) => {
    const { api, reviews } = setUp();
    const anna = await callerOf(reviews, "token-of-anna");
    api.instead = answer;
    expect(await reviews.authorize(anna, train)).toBe(may);
  });
});

describe("what a caller may do", () => {
  test("is what the API server says of exactly this user and object", async () => {
    const { api, reviews } = setUp();
    const anna = await callerOf(reviews, "token-of-anna");
    expect(await reviews.authorize(anna, train)).toBe("allowed");
    expect(api.accessReviews[0]?.spec).toEqual({
      user: "anna",
      uid: "uid of anna",
      groups: ["system:authenticated"],
      extra: undefined,
      ...train,
    });
  });

  test("is remembered for this object alone", async () => {
    const { reviews } = setUp();
    const anna = await callerOf(reviews, "token-of-anna");
    await reviews.authorize(anna, train);
    const other = { resourceAttributes: { ...train.resourceAttributes, namespace: "team-b" } };
    expect(await reviews.authorize(anna, other)).toBe("denied");
  });

  test("is remembered for this caller alone", async () => {
    const { api, reviews } = setUp();
    api.users.set("token-of-bert", { username: "bert" });
    await reviews.authorize(await callerOf(reviews, "token-of-anna"), train);
    expect(await reviews.authorize(await callerOf(reviews, "token-of-bert"), train)).toBe("denied");
  });

  test("ends within a minute of the right being taken away", async () => {
    const { api, time, reviews } = setUp();
    const anna = await callerOf(reviews, "token-of-anna");
    await reviews.authorize(anna, train);
    api.rights.clear();
    time.ms = 60_000;
    expect(await reviews.authorize(anna, train)).toBe("denied");
  });

  test("begins within five seconds of the right being given", async () => {
    const { api, time, reviews } = setUp();
    api.rights.clear();
    const anna = await callerOf(reviews, "token-of-anna");
    expect(await reviews.authorize(anna, train)).toBe("denied");
    api.rights.add("anna get tasks team-a/train");
    time.ms = 5_000;
    expect(await reviews.authorize(anna, train)).toBe("allowed");
  });
});

describe("a storm of made-up tokens", () => {
  test("does not reach the API server faster than the bound", async () => {
    const { api, time, reviews } = setUp({ rate: { perSecond: 10, burst: 5 } });
    const answers = [];
    for (let i = 0; i < 20; i++) answers.push((await reviews.authenticate(`Bearer made-up-${i}`)).outcome);
    expect(answers.filter((outcome) => outcome === "busy")).toHaveLength(15);
    expect(api.sent).toHaveLength(5);
    time.ms = 1_000;
    expect((await reviews.authenticate("Bearer token-of-anna")).outcome).toBe("caller");
  });

  test("does not wait in line while the API server is slow", async () => {
    const { api, reviews } = setUp({ maxPending: 2 });
    let release: (() => void) | undefined;
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    api.instead = () => slow.then(() => ({ status: {} }));
    const waiting = [reviews.authenticate("Bearer a"), reviews.authenticate("Bearer b")];
    expect(await reviews.authenticate("Bearer c")).toEqual({ outcome: "busy" });
    release?.();
    await Promise.all(waiting);
    expect((await reviews.authenticate("Bearer c")).outcome).toBe("unauthenticated");
  });
});

test("reviews may be sent twice and end within ten seconds", async () => {
  const requests: { method: string; path: string; options: Record<string, unknown> }[] = [];
  const transport = {
    request: async (method: string, path: string, options: object) => {
      requests.push({ method, path, options: { ...options } });
      return {};
    },
  };
  await postOver(transport)("/path", { kind: "TokenReview" });
  expect(requests[0]).toMatchObject({
    method: "POST",
    path: "/path",
    options: { idempotent: true, retries: 1, timeoutMs: 5_000, body: { kind: "TokenReview" } },
  });
  expect(requests[0]?.options.signal).toBeInstanceOf(AbortSignal);
});
