import { describe, expect, test } from "vitest";
import { until } from "./clock.test-support.ts";
import type { Answer } from "./fake-api-server.test-support.ts";
import { page, type Thing, thing, useBench, word } from "./reflector.test-support.ts";
import type { ReflectorOptions } from "./reflector.ts";

const bench = useBench();

describe("the first list", () => {
  test("the whole state comes as a stream, then changes follow", async () => {
    const listed = bench().streamedList([thing("a", 1, "3"), thing("b", 1, "5")], "9");
    bench().reflect();
    const stream = await listed;
    await bench().hears("+a1", "+b1", "synced@9");
    expect(await bench().reflector.synced).toBe(true);
    stream.event("MODIFIED", thing("a", 2, "10"));
    stream.event("DELETED", thing("b", 1, "11"));
    stream.event("ADDED", thing("c", 1, "12"));
    await bench().hears("~a2<a1", "-b1", "+c1");
    expect(bench().queries()).toEqual([
      {
        watch: "true",
        allowWatchBookmarks: "true",
        timeoutSeconds: "450",
        sendInitialEvents: "true",
        resourceVersionMatch: "NotOlderThan",
      },
    ]);
    expect(bench().reflector.lastSyncResourceVersion).toBe("12");
    expect([...bench().reflector.entries()].map(([key, entry]) => [key, entry.uid, entry.object])).toEqual([
      ["a", "uid-a", { name: "a", value: 2 }],
      ["c", "uid-c", { name: "c", value: 1 }],
    ]);
  });

  test.each(["streamed", "paged"])("a %s list is never an old one (guards the consistent first list)", async (kind) => {
    bench().server.otherwise = (request, reply) => {
      if (kind === "paged" && request.query.has("watch")) return reply.status(400, "BadRequest");
      // What an API server does: a version asked for, such as 0, may be answered from an old cache.
      const old = request.query.has("resourceVersion");
      const [object, version] = old ? [thing("a", 1, "1"), "1"] : [thing("a", 2, "2"), "2"];
      if (kind === "paged") return page(reply, [object], version);
      const stream = reply.stream();
      stream.event("ADDED", object);
      stream.bookmark(version, true);
    };
    bench().reflect();
    await bench().reflector.synced;
    expect(bench().heard).toEqual(["+a2", "synced@2"]);
  });

  test("changes during the list are part of it", async () => {
    const listed = bench().nextWatch();
    bench().reflect();
    const stream = await listed;
    stream.event("ADDED", thing("a", 1, "3"));
    stream.event("ADDED", thing("b", 1, "4"));
    stream.bookmark("4");
    stream.event("MODIFIED", thing("a", 2, "5"));
    stream.event("DELETED", thing("b", 1, "6"));
    stream.bookmark("6", true);
    await bench().hears("+a2", "synced@6");
  });

  test("a list that breaks off shows nothing, and a paged list is tried for a change", async () => {
    const listed = bench().nextWatch();
    bench().reflect();
    const stream = await listed;
    stream.event("ADDED", thing("a", 1, "3"));
    bench().server.script.push((_, reply) => page(reply, [thing("b", 1, "4")], "7"));
    const watch = bench().nextWatch();
    stream.drop();
    await bench().nap();
    await watch;
    await bench().hears("error", "+b1", "synced@7");
  });

  test.each([400, 422])("a server that refuses streamed lists with %i is listed page by page", async (status) => {
    bench().server.script.push(
      (_, reply) => reply.status(status, "Invalid", "sendInitialEvents is forbidden"),
      (_, reply) => page(reply, [thing("a", 1, "3")], "9", "token-1"),
      (_, reply) => page(reply, [thing("b", 1, "4")], "9", "token-2"),
      (_, reply) => page(reply, [thing("c", 1, "5")], "9"),
    );
    const watch = bench().nextWatch();
    bench().reflect({ labelSelector: "x=y", namespace: "n" });
    const stream = await watch;
    await bench().hears("+a1", "+b1", "+c1", "synced@9");
    expect(bench().queries().slice(1, 4)).toEqual([
      { labelSelector: "x=y", limit: "500" },
      { labelSelector: "x=y", limit: "500", continue: "token-1" },
      { labelSelector: "x=y", limit: "500", continue: "token-2" },
    ]);
    expect(bench().queries()[4]).toMatchObject({ watch: "true", resourceVersion: "9", labelSelector: "x=y" });
    expect(new Set(bench().server.requests.map((request) => request.path))).toEqual(
      new Set(["/api/v1/namespaces/n/things"]),
    );
    // It is not asked for a streamed list again.
    bench().server.script.push((_, reply) => page(reply, [thing("a", 1, "3")], "20"));
    const again = bench().nextWatch();
    stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
    await bench().hears("error", "-b1", "-c1", "synced@20");
    await again;
  });

  test("a continue token that expires costs one list in one piece, without what was seen before", async () => {
    bench().server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => page(reply, [thing("a", 1, "3"), thing("gone", 1, "3")], "9", "token"),
      (_, reply) => reply.status(410, "Expired"),
      (_, reply) => page(reply, [thing("a", 2, "10"), thing("b", 1, "11")], "12"),
    );
    const watch = bench().nextWatch();
    bench().reflect();
    await watch;
    await bench().hears("+a2", "+b1", "synced@12");
    expect(bench().queries()[3]).toEqual({});
    expect(bench().queries()[4]).toMatchObject({ resourceVersion: "12" });
  });

  test("while the server refuses us, nothing is taken for a refusal of streaming", async () => {
    bench().server.script.push((_, reply) => reply.status(403, "Forbidden"));
    const listed = bench().streamedList([], "5");
    bench().reflect();
    await bench().nap();
    await listed;
    await bench().hears("error", "synced@5");
    expect(bench().queries()[1]).toMatchObject({ sendInitialEvents: "true" });
  });
});

describe("versions", () => {
  test("whoever waits for a version is told when the cache has passed it, by an event or a bookmark", async () => {
    const listed = bench().streamedList([], "98");
    bench().reflect();
    const early = bench().reflector.waitUntil("98", 1_000);
    const stream = await listed;
    expect(await early).toBe(true);
    const waits = ["102", "99", "100", "101"].map((version) => bench().reflector.waitUntil(version, 1_000));
    stream.event("ADDED", thing("a", 1, "100"));
    expect(await Promise.all([waits[1], waits[2]])).toEqual([true, true]);
    expect([bench().reflector.hasPassed("100"), bench().reflector.hasPassed("101")]).toEqual([true, false]);
    stream.bookmark("1000");
    expect(await Promise.all(waits)).toEqual([true, true, true, true]);
  });

  test("who waits too long, or for a reflector that stops, is told so", async () => {
    const listed = bench().streamedList([], "98");
    bench().reflect();
    await listed;
    await bench().reflector.synced;
    const late = bench().reflector.waitUntil("99", 1_000);
    const stopped = bench().reflector.waitUntil("99", 60_000);
    await bench().clock.advance(1_000);
    expect(await late).toBe(false);
    bench().reflector.stop();
    expect(await stopped).toBe(false);
    expect(await bench().reflector.waitUntil("99", 1_000)).toBe(false);
  });

  test("a new term gets a list that began after it asked", async () => {
    let answer = (): void => {};
    bench().server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => {
        answer = () => page(reply, [thing("old", 1, "3")], "4");
      },
    );
    const list: Answer = (_, reply) => page(reply, [thing("new", 1, "6")], "7");
    bench().reflect();
    await bench().server.arrived(2);
    bench().server.script.push(list);
    const watch = bench().nextWatch();
    const resynced = bench().reflector.resync();
    answer();
    expect(await resynced).toBe(true);
    await watch;
    expect(bench().heard).toEqual(["+new1", "synced@7"]);
    bench().server.script.push((_, reply) => page(reply, [thing("new", 2, "8")], "9"));
    expect(await bench().reflector.resync()).toBe(true);
    expect(bench().heard).toEqual(["+new1", "synced@7", "~new2<new1", "synced@9"]);
  });

  test("a consumer may ask for a new list while it is told a change", async () => {
    const listed = bench().streamedList([thing("a", 1, "3")], "5");
    const second = bench().streamedList([thing("a", 1, "3"), thing("b", 2, "7")], "9");
    let resynced: Promise<boolean> | undefined;
    bench().reflect({
      onEvent: (event) => {
        bench().heard.push(word(event));
        if (event.type === "upsert") resynced ??= bench().reflector.resync();
      },
    });
    await listed;
    await second;
    expect(await resynced).toBe(true);
    expect(bench().heard).toEqual(["+a1", "synced@5", "+b2", "synced@9"]);
  });
});

describe("a new list asked for in the middle of an old one", () => {
  function resyncAt(name: string): { done: () => Promise<boolean> | undefined; ask: (asking: string) => void } {
    let resynced: Promise<boolean> | undefined;
    return {
      done: () => resynced,
      ask: (asking) => {
        if (asking === name) resynced ??= bench().reflector.resync();
      },
    };
  }

  test("events that came in one piece with the one that caused it are left to the list", async () => {
    const listed = bench().streamedList([], "5");
    const { done, ask } = resyncAt("+a1");
    bench().reflect({
      onEvent: (event) => {
        bench().heard.push(word(event));
        ask(word(event));
      },
    });
    const stream = await listed;
    const second = bench().streamedList([thing("b", 2, "8")], "9");
    const lines = [thing("a", 1, "6"), thing("b", 1, "7")].map((object) => JSON.stringify({ type: "ADDED", object }));
    stream.raw(`${lines.join("\n")}\n`);
    await second;
    await bench().hears("synced@5", "+a1", "-a1", "+b2", "synced@9");
    expect(await done()).toBe(true);
  });

  test("a page that is being read is not taken for the new list", async () => {
    bench().server.script.push(
      (_, reply) => reply.status(400, "BadRequest"),
      (_, reply) => page(reply, [thing("a", 1, "3")], "4"),
      (_, reply) => page(reply, [thing("a", 2, "5")], "6"),
    );
    const watch = bench().nextWatch();
    const { done, ask } = resyncAt("a");
    bench().reflect({
      project: ({ metadata, value }) => {
        ask(metadata.name);
        return { name: metadata.name, value: value as number };
      },
    });
    await watch;
    expect(await done()).toBe(true);
    expect(bench().heard).toEqual(["+a2", "synced@6"]);
  });
});

describe("consumers", () => {
  test("objects of no interest are absent, and leave when they lose it", async () => {
    const listed = bench().streamedList([thing("a", 1, "3"), thing("b", -1, "4")], "5");
    bench().reflect({
      project: ({ metadata, value }) => ((value as number) < 0 ? undefined : { name: metadata.name, value: 1 }),
    });
    const stream = await listed;
    stream.event("MODIFIED", thing("b", 1, "6"));
    stream.event("MODIFIED", thing("a", -1, "7"));
    await bench().hears("+a1", "synced@5", "+b1", "-a1");
  });

  test("an object that cannot be projected stays as it was known, and delays no other", async () => {
    const project: ReflectorOptions<Thing>["project"] = ({ metadata, value }) => {
      if (value === 666) throw new Error("poison");
      return { name: metadata.name, value: value as number };
    };
    const listed = bench().streamedList([thing("a", 1, "3"), thing("b", 666, "4")], "5");
    bench().reflect({ project });
    const stream = await listed;
    stream.event("MODIFIED", thing("a", 666, "6"));
    stream.event("ADDED", thing("c", 1, "7"));
    await bench().hears("error of b", "+a1", "synced@5", "error of a", "+c1");
    const again = bench().streamedList([thing("a", 666, "6"), thing("c", 1, "7")], "9");
    const resynced = bench().reflector.resync();
    await again;
    await resynced;
    await bench().hears("error of a", "synced@9");
    expect(bench().reflector.get("a")?.object).toEqual({ name: "a", value: 1 });
  });

  test("a consumer that throws ends the reflector: cache and consumer would differ from then on", async () => {
    bench().server.script.push((_, reply) => {
      const stream = reply.stream();
      stream.event("ADDED", thing("a", 1, "3"));
      stream.bookmark("5", true);
    });
    bench().reflect({
      onEvent: () => {
        throw new Error("a bug");
      },
    });
    await expect(bench().running).rejects.toThrow("a bug");
    expect(await bench().reflector.synced).toBe(false);
  });

  test("a light reflector remembers no objects, but still tells old from new", async () => {
    const listed = bench().streamedList([thing("a", 1, "3"), thing("b", 1, "4")], "5");
    bench().reflect({ storeObjects: false });
    const stream = await listed;
    stream.event("MODIFIED", thing("a", 1, "3"));
    stream.event("MODIFIED", thing("a", 2, "6"));
    stream.event("DELETED", thing("b", 1, "7"));
    await bench().hears("+a1", "+b1", "synced@5", "+a2", "-b");
    expect(bench().reflector.get("a")).toEqual({ uid: "uid-a", resourceVersion: "6", object: undefined });
  });

  test("nothing is told after stop", async () => {
    const listed = bench().streamedList([], "5");
    bench().reflect();
    const stream = await listed;
    await bench().reflector.synced;
    bench().reflector.stop();
    await bench().running;
    await until(() => !stream.isOpen);
    expect(bench().heard).toEqual(["synced@5"]);
    expect(await bench().reflector.resync()).toBe(false);
    expect(bench().clock.pendingTimers).toBe(0);
  });

  test("cluster-wide paths have no namespace", async () => {
    const listed = bench().streamedList([], "5");
    bench().reflect();
    await listed;
    expect(bench().server.requests[0]?.path).toBe("/api/v1/things");
  });
});
