import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settle, until } from "./clock.test-support.ts";
import { type Answer, FakeApiServer, type FakeReply, type FakeStream } from "./fake-api-server.test-support.ts";
import { Reflector, type ReflectorEvent, type ReflectorOptions } from "./reflector.ts";
import { HttpTransport } from "./transport.ts";

interface Thing {
  readonly name: string;
  readonly value: number;
}

const path = "/api/v1/things";

let clock: FakeClock;
let server: FakeApiServer;
let transport: HttpTransport;
let reflector: Reflector<Thing>;
let running: Promise<void>;
/** What the consumer heard, one word a change: `+a1` (upsert), `~a2<a1` (with previous), `-a2`, `synced`, `error …`. */
let heard: string[];

beforeEach(async () => {
  clock = new FakeClock();
  heard = [];
  server = await FakeApiServer.start(() => clock.monotonicMs());
  transport = new HttpTransport({ config: server.config(), clock, random: () => 0.5, userAgent: "proffer/test" });
});

afterEach(async () => {
  reflector.stop();
  await running.catch(() => {});
  await transport.close();
  await server.stop();
});

function reflect(options: Partial<ReflectorOptions<Thing>> = {}): void {
  reflector = new Reflector<Thing>({
    transport,
    clock,
    random: () => 0.5,
    resource: { group: "", version: "v1", plural: "things" },
    project: ({ metadata, value }) => ({ name: metadata.name, value: value as number }),
    onEvent: (event) => heard.push(word(event)),
    ...options,
  });
  running = reflector.start();
}

function word(event: ReflectorEvent<Thing>): string {
  const text = (thing: Thing | undefined): string => (thing ? `${thing.name}${thing.value}` : "?");
  switch (event.type) {
    case "upsert":
      return event.previous ? `~${text(event.object)}<${text(event.previous)}` : `+${text(event.object)}`;
    case "delete":
      return `-${event.object ? text(event.object) : event.key}`;
    case "synced":
      return `synced@${event.resourceVersion}`;
    case "error":
      return event.key ? `error of ${event.key}` : "error";
  }
}

function thing(name: string, value: number, resourceVersion: string, uid = `uid-${name}`): object {
  return { metadata: { name, uid, resourceVersion, managedFields: ["x"] }, value };
}

/** The next watch that starts with the whole state. */
function streamedList(objects: object[], resourceVersion: string): Promise<FakeStream> {
  return new Promise((resolve) =>
    server.script.push((_, reply) => {
      const stream = reply.stream();
      for (const object of objects) stream.event("ADDED", object);
      stream.bookmark(resourceVersion, true);
      resolve(stream);
    }),
  );
}

function nextWatch(): Promise<FakeStream> {
  return new Promise((resolve) => server.script.push((_, reply) => resolve(reply.stream())));
}

function page(reply: FakeReply, items: object[], resourceVersion: string, next?: string): void {
  reply.json(200, { metadata: { resourceVersion, continue: next }, items });
}

async function hears(...words: string[]): Promise<void> {
  await until(() => heard.length >= words.length);
  await settle();
  expect(heard.splice(0)).toEqual(words);
}

/** Waits until the reflector naps, then lets the nap pass. */
async function nap(): Promise<number> {
  await until(() => (clock.nextTimerInMs ?? 30_000) < 30_000);
  const ms = clock.nextTimerInMs ?? 0;
  await clock.advance(ms);
  return ms;
}

const queries = (): Record<string, string>[] => server.requests.map(({ query }) => Object.fromEntries(query));
/** How often the whole state was asked for. */
const lists = (): number => queries().filter(({ resourceVersion }) => resourceVersion === undefined).length;

describe("the first list", () => {
  test("the whole state comes as a stream, then changes follow", async () => {
    const listed = streamedList([thing("a", 1, "3"), thing("b", 1, "5")], "9");
    reflect();
    const stream = await listed;
    await hears("+a1", "+b1", "synced@9");
    expect(await reflector.synced).toBe(true);
    stream.event("MODIFIED", thing("a", 2, "10"));
    stream.event("DELETED", thing("b", 1, "11"));
    stream.event("ADDED", thing("c", 1, "12"));
    await hears("~a2<a1", "-b1", "+c1");
    expect(queries()).toEqual([
      {
        watch: "true",
        allowWatchBookmarks: "true",
        timeoutSeconds: "450",
        sendInitialEvents: "true",
        resourceVersionMatch: "NotOlderThan",
      },
    ]);
    expect(reflector.lastSyncResourceVersion).toBe("12");
    expect([...reflector.entries()].map(([key, entry]) => [key, entry.uid, entry.object])).toEqual([
      ["a", "uid-a", { name: "a", value: 2 }],
      ["c", "uid-c", { name: "c", value: 1 }],
    ]);
  });

  test.each(["streamed", "paged"])("a %s list is never an old one (guards the consistent first list)", async (kind) => {
    server.otherwise = (request, reply) => {
      if (kind === "paged" && request.query.has("watch")) return reply.status(400, "BadRequest");
      // What an API server does: a version asked for, such as 0, may be answered from an old cache.
      const old = request.query.has("resourceVersion");
      const [object, version] = old ? [thing("a", 1, "1"), "1"] : [thing("a", 2, "2"), "2"];
      if (kind === "paged") return page(reply, [object], version);
      const stream = reply.stream();
      stream.event("ADDED", object);
      stream.bookmark(version, true);
    };
    reflect();
    await reflector.synced;
    expect(heard).toEqual(["+a2", "synced@2"]);
  });

  test("changes during the list are part of it", async () => {
    const listed = nextWatch();
    reflect();
    const stream = await listed;
    stream.event("ADDED", thing("a", 1, "3"));
    stream.event("ADDED", thing("b", 1, "4"));
    stream.bookmark("4");
    stream.event("MODIFIED", thing("a", 2, "5"));
    stream.event("DELETED", thing("b", 1, "6"));
    stream.bookmark("6", true);
    await hears("+a2", "synced@6");
  });

  test("a list that breaks off shows nothing, and a paged list is tried for a change", async () => {
    const listed = nextWatch();
    reflect();
    const stream = await listed;
    stream.event("ADDED", thing("a", 1, "3"));
    server.script.push((_, reply) => page(reply, [thing("b", 1, "4")], "7"));
    const watch = nextWatch();
    stream.drop();
    await nap();
    await watch;
    await hears("error", "+b1", "synced@7");
  });

  test.each([400, 422])("a server that refuses streamed lists with %i is listed page by page", async (status) => {
    server.script.push(
      (_, reply) => reply.status(status, "Invalid", "sendInitialEvents is forbidden"),
      (_, reply) => page(reply, [thing("a", 1, "3")], "9", "token-1"),
      (_, reply) => page(reply, [thing("b", 1, "4")], "9", "token-2"),
      (_, reply) => page(reply, [thing("c", 1, "5")], "9"),
    );
    const watch = nextWatch();
    reflect({ labelSelector: "x=y", namespace: "n" });
    const stream = await watch;
    await hears("+a1", "+b1", "+c1", "synced@9");
    expect(queries().slice(1, 4)).toEqual([
      { labelSelector: "x=y", limit: "500" },
      { labelSelector: "x=y", limit: "500", continue: "token-1" },
      { labelSelector: "x=y", limit: "500", continue: "token-2" },
    ]);
    expect(queries()[4]).toMatchObject({ watch: "true", resourceVersion: "9", labelSelector: "x=y" });
    expect(new Set(server.requests.map((request) => request.path))).toEqual(new Set(["/api/v1/namespaces/n/things"]));
    // It is not asked for a streamed list again.
    server.script.push((_, reply) => page(reply, [thing("a", 1, "3")], "20"));
    stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
    await hears("error", "-b1", "-c1", "synced@20");
  });

  test("a continue token that expires costs one list in one piece, without what was seen before", async () => {
    server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => page(reply, [thing("a", 1, "3"), thing("gone", 1, "3")], "9", "token"),
      (_, reply) => reply.status(410, "Expired"),
      (_, reply) => page(reply, [thing("a", 2, "10"), thing("b", 1, "11")], "12"),
    );
    const watch = nextWatch();
    reflect();
    await watch;
    await hears("+a2", "+b1", "synced@12");
    expect(queries()[3]).toEqual({});
    expect(queries()[4]).toMatchObject({ resourceVersion: "12" });
  });

  test("while the server refuses us, nothing is taken for a refusal of streaming", async () => {
    server.script.push((_, reply) => reply.status(403, "Forbidden"));
    const listed = streamedList([], "5");
    reflect();
    await nap();
    await listed;
    await hears("error", "synced@5");
    expect(queries()[1]).toMatchObject({ sendInitialEvents: "true" });
  });
});

describe("a watch that ends", () => {
  async function synced(objects: object[] = [thing("a", 1, "3")], version = "5"): Promise<FakeStream> {
    const listed = streamedList(objects, version);
    reflect();
    const stream = await listed;
    await reflector.synced;
    heard.length = 0;
    return stream;
  }

  test("a watch dropped in the middle of a line is resumed, with nothing lost, nothing twice and no new list", async () => {
    const stream = await synced();
    const line = JSON.stringify({ type: "ADDED", object: thing("c", 1, "7") });
    stream.event("ADDED", thing("b", 1, "6"));
    stream.raw(line.slice(0, 40));
    await hears("+b1");
    const watch = nextWatch();
    stream.drop();
    expect(await nap()).toBeLessThanOrEqual(1_000);
    (await watch).event("ADDED", thing("c", 1, "7"));
    await hears("error", "+c1");
    expect(queries()[1]).toMatchObject({ resourceVersion: "6" });
    expect(lists()).toBe(1);
  });

  test("a watch that ends in due time is resumed at once", async () => {
    const stream = await synced();
    stream.bookmark("8");
    const watch = nextWatch();
    stream.end();
    await watch;
    expect(queries()[1]).toMatchObject({ resourceVersion: "8" });
    expect(heard).toEqual([]);
  });

  test("bookmarks alone keep a quiet watch from growing old", async () => {
    let stream = await synced();
    for (const version of ["100", "200", "300"]) {
      stream.bookmark(version);
      const watch = nextWatch();
      stream.end();
      stream = await watch;
    }
    expect(queries().map(({ resourceVersion }) => resourceVersion)).toEqual([undefined, "100", "200", "300"]);
    expect(reflector.lastSyncResourceVersion).toBe("300");
    expect(heard).toEqual([]);
  });

  test("events that come again change nothing", async () => {
    const stream = await synced();
    stream.event("ADDED", thing("b", 1, "6"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("MODIFIED", thing("a", 2, "8"));
    await hears("+b1", "-b1", "~a2<a1");
    for (const version of ["6", "7", "8"]) stream.event("ADDED", thing("b", 1, version));
    stream.event("MODIFIED", thing("a", 2, "8"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("ADDED", thing("a", 1, "3"));
    stream.event("MODIFIED", thing("a", 3, "9"));
    await hears("~a3<a2");
    stream.event("ADDED", thing("b", 2, "10", "second"));
    stream.event("DELETED", thing("b", 1, "7"));
    stream.event("MODIFIED", thing("b", 3, "11", "second"));
    await hears("+b2", "~b3<b2");
  });

  test.each<{ name: string; expire: (stream: FakeStream) => void }>([
    {
      name: "in the stream",
      expire: (stream) => stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" }),
    },
    {
      name: "as the answer",
      expire: (stream) => {
        server.script.unshift((_, reply) => reply.status(410, "Expired"));
        stream.bookmark("6");
        stream.end();
      },
    },
  ])("a version that is too old, said $name, causes exactly one new list, at once", async ({ expire }) => {
    const stream = await synced([thing("a", 1, "3"), thing("b", 1, "4")]);
    const listed = streamedList([thing("a", 2, "20")], "30");
    expire(stream);
    const next = await listed;
    await hears("error", "-b1", "~a2<a1", "synced@30");
    next.event("MODIFIED", thing("a", 3, "31"));
    await hears("~a3<a2");
    expect(lists()).toBe(2);
    expect(clock.monotonicMs()).toBe(0);
  });

  test("a server that knows nothing but 410 is asked less and less often", async () => {
    const stream = await synced();
    const waits: number[] = [];
    server.otherwise = (_, reply) => reply.status(410, "Expired");
    stream.drop();
    for (let i = 0; i < 9; i++) waits.push(await nap());
    expect(waits).toEqual([600, 1_200, 2_400, 4_800, 9_600, 19_200, 22_500, 22_500, 22_500]);
  });

  test("after a new list, another UID under the same name is the end of one object and the start of another", async () => {
    const stream = await synced([thing("a", 1, "3", "first"), thing("b", 1, "4")]);
    const listed = streamedList([thing("a", 2, "20", "second"), thing("b", 1, "4")], "30");
    stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
    await listed;
    await hears("error", "-a1", "+a2", "synced@30");
  });

  test("the same holds for events, even if the end of the first was never told", async () => {
    const stream = await synced([thing("a", 1, "3", "first"), thing("b", 1, "4", "first")]);
    stream.event("ADDED", thing("a", 2, "20", "second"));
    stream.event("DELETED", thing("b", 9, "21", "second"));
    await hears("-a1", "+a2", "-b1");
  });

  test("a stream that stays silent is given up and resumed", async () => {
    const stream = await synced();
    const watch = nextWatch();
    await clock.advance(89_999);
    expect(stream.isOpen).toBe(true);
    await clock.advance(1);
    await hears("error");
    await nap();
    (await watch).event("ADDED", thing("b", 1, "6"));
    await hears("+b1");
    await until(() => !stream.isOpen);
    expect(lists()).toBe(1);
  });

  test("a stream with a byte now and then is alive", async () => {
    const stream = await synced();
    for (let i = 0; i < 5; i++) {
      const version = String(10 + i);
      stream.bookmark(version);
      await until(() => reflector.lastSyncResourceVersion === version);
      await clock.advance(60_000);
    }
    expect(stream.isOpen).toBe(true);
    expect(server.requests.length).toBe(1);
  });

  test("an event that cannot be read ends the watch; if it comes again at once, a list steps over it", async () => {
    const stream = await synced();
    stream.event("ADDED", thing("b", 1, "6"));
    stream.raw('{"type":"MODIFIED","object":{"metadata":\n');
    const watch = nextWatch();
    await hears("+b1", "error");
    await nap();
    const second = await watch;
    const listed = streamedList([thing("a", 1, "3"), thing("b", 2, "7")], "9");
    second.raw("again nonsense\n");
    await nap();
    await listed;
    await hears("error", "~b2<b1", "synced@9");
    expect(queries()[1]).toMatchObject({ resourceVersion: "6" });
  });

  test("an error of the server inside the stream is no end of the reflector", async () => {
    const stream = await synced();
    stream.bookmark("6");
    stream.event("ERROR", { kind: "Status", code: 500, reason: "InternalError", message: "etcd" });
    const watch = nextWatch();
    await hears("error");
    await nap();
    (await watch).event("ADDED", thing("b", 1, "7"));
    await hears("+b1");
    expect(lists()).toBe(1);
  });
});

describe("a server in trouble", () => {
  test("errors are answered by waits that grow to 30 s, one attempt at a time", async () => {
    server.otherwise = (_, reply) => reply.status(500, "InternalError");
    reflect();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) waits.push(await nap());
    expect(waits).toEqual([600, 1_200, 2_400, 4_800, 9_600, 19_200, 22_500, 22_500]);
    await server.arrived(9);
    expect(server.requests.length).toBe(9);
  });

  test("nothing is sent before the Retry-After of a 429", async () => {
    server.script.push((_, reply) => reply.status(429, "TooManyRequests", "", { "retry-after": "25" }));
    const listed = streamedList([], "5");
    reflect();
    expect(await nap()).toBe(25_000);
    await listed;
    expect(server.requests.map(({ atMs }) => atMs)).toEqual([0, 25_000]);
  });

  test("after an outage the first answer to anybody wakes the watches", async () => {
    const listed = streamedList([], "5");
    reflect();
    await listed;
    await reflector.synced;
    const restore = await server.outage();
    for (let i = 0; i < 6; i++) await nap();
    await until(() => (clock.nextTimerInMs ?? 30_000) < 30_000);
    await restore();
    const afterMs = clock.monotonicMs();
    const watch = nextWatch();
    server.script.unshift((_, reply) => reply.json(200, {}));
    await transport.request("GET", "/api/v1/leases/x");
    await watch;
    expect(clock.monotonicMs()).toBe(afterMs);
    expect(lists()).toBe(2);
    expect(queries().at(-1)).toMatchObject({ resourceVersion: "5" });
  });
});

describe("versions", () => {
  test("whoever waits for a version is told when the cache has passed it, by an event or a bookmark", async () => {
    const listed = streamedList([], "98");
    reflect();
    const early = reflector.waitUntil("98", 1_000);
    const stream = await listed;
    expect(await early).toBe(true);
    const waits = ["102", "99", "100", "101"].map((version) => reflector.waitUntil(version, 1_000));
    stream.event("ADDED", thing("a", 1, "100"));
    expect(await Promise.all([waits[1], waits[2]])).toEqual([true, true]);
    expect([reflector.hasPassed("100"), reflector.hasPassed("101")]).toEqual([true, false]);
    stream.bookmark("1000");
    expect(await Promise.all(waits)).toEqual([true, true, true, true]);
  });

  test("who waits too long, or for a reflector that stops, is told so", async () => {
    const listed = streamedList([], "98");
    reflect();
    await listed;
    await reflector.synced;
    const late = reflector.waitUntil("99", 1_000);
    const stopped = reflector.waitUntil("99", 60_000);
    await clock.advance(1_000);
    expect(await late).toBe(false);
    reflector.stop();
    expect(await stopped).toBe(false);
    expect(await reflector.waitUntil("99", 1_000)).toBe(false);
  });

  test("a new term gets a list that began after it asked", async () => {
    let answer = (): void => {};
    server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => {
        answer = () => page(reply, [thing("old", 1, "3")], "4");
      },
    );
    const list: Answer = (_, reply) => page(reply, [thing("new", 1, "6")], "7");
    reflect();
    await server.arrived(2);
    server.script.push(list);
    const watch = nextWatch();
    const resynced = reflector.resync();
    answer();
    expect(await resynced).toBe(true);
    await watch;
    expect(heard).toEqual(["+new1", "synced@7"]);
    server.script.push((_, reply) => page(reply, [thing("new", 2, "8")], "9"));
    expect(await reflector.resync()).toBe(true);
    expect(heard).toEqual(["+new1", "synced@7", "~new2<new1", "synced@9"]);
  });

  test("a consumer may ask for a new list while it is told a change", async () => {
    const listed = streamedList([thing("a", 1, "3")], "5");
    const second = streamedList([thing("a", 1, "3"), thing("b", 2, "7")], "9");
    let resynced: Promise<boolean> | undefined;
    reflect({
      onEvent: (event) => {
        heard.push(word(event));
        if (event.type === "upsert") resynced ??= reflector.resync();
      },
    });
    await listed;
    await second;
    expect(await resynced).toBe(true);
    expect(heard).toEqual(["+a1", "synced@5", "+b2", "synced@9"]);
  });
});

describe("a new list asked for in the middle of an old one", () => {
  function resyncAt(name: string): { done: () => Promise<boolean> | undefined; ask: (asking: string) => void } {
    let resynced: Promise<boolean> | undefined;
    return {
      done: () => resynced,
      ask: (asking) => {
        if (asking === name) resynced ??= reflector.resync();
      },
    };
  }

  test("events that came in one piece with the one that caused it are left to the list", async () => {
    const listed = streamedList([], "5");
    const { done, ask } = resyncAt("+a1");
    reflect({
      onEvent: (event) => {
        heard.push(word(event));
        ask(word(event));
      },
    });
    const stream = await listed;
    const second = streamedList([thing("b", 2, "8")], "9");
    const lines = [thing("a", 1, "6"), thing("b", 1, "7")].map((object) => JSON.stringify({ type: "ADDED", object }));
    stream.raw(`${lines.join("\n")}\n`);
    await second;
    await hears("synced@5", "+a1", "-a1", "+b2", "synced@9");
    expect(await done()).toBe(true);
  });

  test("a page that is being read is not taken for the new list", async () => {
    server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => page(reply, [thing("a", 1, "3")], "4"),
      (_, reply) => page(reply, [thing("a", 2, "5")], "6"),
    );
    const watch = nextWatch();
    const { done, ask } = resyncAt("a");
    reflect({
      project: ({ metadata, value }) => {
        ask(metadata.name);
        return { name: metadata.name, value: value as number };
      },
    });
    await watch;
    expect(await done()).toBe(true);
    expect(heard).toEqual(["+a2", "synced@6"]);
  });
});

describe("consumers", () => {
  test("objects of no interest are absent, and leave when they lose it", async () => {
    const listed = streamedList([thing("a", 1, "3"), thing("b", -1, "4")], "5");
    reflect({
      project: ({ metadata, value }) => ((value as number) < 0 ? undefined : { name: metadata.name, value: 1 }),
    });
    const stream = await listed;
    stream.event("MODIFIED", thing("b", 1, "6"));
    stream.event("MODIFIED", thing("a", -1, "7"));
    await hears("+a1", "synced@5", "+b1", "-a1");
  });

  test("an object that cannot be projected stays as it was known, and delays no other", async () => {
    const project: ReflectorOptions<Thing>["project"] = ({ metadata, value }) => {
      if (value === 666) throw new Error("poison");
      return { name: metadata.name, value: value as number };
    };
    const listed = streamedList([thing("a", 1, "3"), thing("b", 666, "4")], "5");
    reflect({ project });
    const stream = await listed;
    stream.event("MODIFIED", thing("a", 666, "6"));
    stream.event("ADDED", thing("c", 1, "7"));
    await hears("error of b", "+a1", "synced@5", "error of a", "+c1");
    const again = streamedList([thing("a", 666, "6"), thing("c", 1, "7")], "9");
    const resynced = reflector.resync();
    await again;
    await resynced;
    await hears("error of a", "synced@9");
    expect(reflector.get("a")?.object).toEqual({ name: "a", value: 1 });
  });

  test("a consumer that throws ends the reflector: cache and consumer would differ from then on", async () => {
    server.script.push((_, reply) => {
      const stream = reply.stream();
      stream.event("ADDED", thing("a", 1, "3"));
      stream.bookmark("5", true);
    });
    reflect({
      onEvent: () => {
        throw new Error("a bug");
      },
    });
    await expect(running).rejects.toThrow("a bug");
    expect(await reflector.synced).toBe(false);
  });

  test("a light reflector remembers no objects, but still tells old from new", async () => {
    const listed = streamedList([thing("a", 1, "3"), thing("b", 1, "4")], "5");
    reflect({ storeObjects: false });
    const stream = await listed;
    stream.event("MODIFIED", thing("a", 1, "3"));
    stream.event("MODIFIED", thing("a", 2, "6"));
    stream.event("DELETED", thing("b", 1, "7"));
    await hears("+a1", "+b1", "synced@5", "+a2", "-b");
    expect(reflector.get("a")).toEqual({ uid: "uid-a", resourceVersion: "6", object: undefined });
  });

  test("nothing is told after stop", async () => {
    const listed = streamedList([], "5");
    reflect();
    const stream = await listed;
    await reflector.synced;
    reflector.stop();
    await running;
    await until(() => !stream.isOpen);
    expect(heard).toEqual(["synced@5"]);
    expect(await reflector.resync()).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  test("cluster-wide paths have no namespace", async () => {
    const listed = streamedList([], "5");
    reflect();
    await listed;
    expect(server.requests[0]?.path).toBe(path);
  });
});
