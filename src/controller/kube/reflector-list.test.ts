import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { until } from "./clock.test-support.ts";
import type { Answer, FakeStream } from "./fake-api-server.test-support.ts";
import { message } from "./protobuf.ts";
import { page, thing, useBench } from "./reflector.test-support.ts";

const bench = useBench();

const listOf = (items: object[], resourceVersion: string) =>
  Buffer.from(JSON.stringify({ metadata: { resourceVersion }, items }));
/** Packed, in two parts, the way a server does that packs. */
const packed =
  (list: Buffer): Answer =>
  (_, reply) => {
    const stream = reply.stream({ "content-encoding": "gzip" });
    const bytes = gzipSync(list);
    stream.raw(bytes.subarray(0, 9));
    stream.raw(bytes.subarray(9));
    stream.end();
  };
/** Asked for as protobuf; a server may answer JSON all the same. */
const builtIn = { as: message({}) };

describe("what comes as protobuf", () => {
  test("is listed in one piece, packed, and watched from there", async () => {
    bench().server.script.push(packed(listOf([thing("a", 1, "3"), thing("b", 1, "5")], "9")));
    const watch = bench().nextWatch();
    bench().reflect({ ...builtIn, labelSelector: "x=y" });
    const stream = await watch;
    await bench().hears("+a1", "+b1", "synced@9");
    stream.event("DELETED", thing("a", 1, "10"));
    await bench().hears("-a1");
    expect(bench().queries()).toEqual([
      { labelSelector: "x=y" },
      expect.objectContaining({ labelSelector: "x=y", watch: "true", resourceVersion: "9" }),
    ]);
    expect(bench().server.requests.map(({ headers }) => [headers.accept, headers["accept-encoding"]])).toEqual([
      ["application/vnd.kubernetes.protobuf,application/json", "gzip"],
      ["application/vnd.kubernetes.protobuf;stream=watch,application/json", "identity"],
    ]);
  });

  test("may be more than can be unpacked as fast as it comes (guards: going on after the pause)", async () => {
    const noise = () => Array.from({ length: 5_000 }, () => Math.random().toString(36)).join("");
    const things = Array.from({ length: 60 }, (_, i) => ({ ...thing(`t${i}`, i, "3"), noise: noise() }));
    bench().server.script.push(packed(listOf(things, "9")));
    const watch = bench().nextWatch();
    bench().reflect(builtIn);
    await watch;
    expect(bench().reflector.size).toBe(60);
  });

  test("is listed as well where the server does not pack", async () => {
    bench().server.script.push((_, reply) => page(reply, [thing("a", 1, "3")], "9"));
    const watch = bench().nextWatch();
    bench().reflect(builtIn);
    await watch;
    await bench().hears("+a1", "synced@9");
  });

  test.each<[string, Answer]>([
    [
      "breaks off",
      (_, reply) => {
        const stream = reply.stream();
        stream.raw('{"metadata":{"resourceVersion":"7"},"items":[');
        stream.drop();
      },
    ],
    ["is not what it says", (_, reply) => reply.text(200, "<html>", { "content-type": "text/html" })],
    [
      "cannot be unpacked",
      (_, reply) => {
        const stream = reply.stream({ "content-encoding": "gzip" });
        stream.raw("no such format");
        stream.end();
      },
    ],
    [
      "is packed and cut short",
      (_, reply) => {
        const stream = reply.stream({ "content-encoding": "gzip" });
        stream.raw(gzipSync(listOf([thing("x", 1, "3")], "7")).subarray(0, -9));
        stream.end();
      },
    ],
    ["is empty", (_, reply) => reply.text(200, "")],
    ["has no version", (_, reply) => reply.json(200, { items: [thing("x", 1, "3")] })],
    ["has something in it that is no object", (_, reply) => page(reply, [{ value: 1 }], "7")],
  ])("and %s shows nothing of itself, and is asked for page by page for a change", async (_, answer) => {
    bench().server.script.push(answer, (__, reply) => page(reply, [thing("b", 1, "4")], "8"));
    const watch = bench().nextWatch();
    bench().reflect(builtIn);
    await bench().nap();
    await watch;
    await bench().hears("error", "+b1", "synced@8");
    expect(bench().queries().slice(0, 2)).toEqual([{}, { limit: "500" }]);
  });

  test("and is refused comes page by page from then on", async () => {
    bench().server.script.push(
      (_, reply) => reply.status(400, "BadRequest", "lists need a limit"),
      (_, reply) => page(reply, [thing("a", 1, "3")], "9"),
    );
    const watch = bench().nextWatch();
    bench().reflect(builtIn);
    await watch;
    await bench().hears("+a1", "synced@9");
    bench().server.script.push((_, reply) => page(reply, [thing("a", 2, "11")], "12"));
    const again = bench().nextWatch();
    void bench().reflector.resync();
    await again;
    await bench().hears("~a2<a1", "synced@12");
    expect(bench().queries().slice(2)).toEqual([
      expect.objectContaining({ watch: "true" }),
      { limit: "500" },
      expect.objectContaining({ watch: "true" }),
    ]);
  });

  test("and takes too long to be made is asked for page by page, after a while", async () => {
    bench().server.script.push(
      (_, reply) => reply.status(504, "Timeout"),
      (_, reply) => page(reply, [thing("b", 1, "4")], "8"),
    );
    const watch = bench().nextWatch();
    bench().reflect(builtIn);
    await bench().nap();
    const stream = await watch;
    await bench().hears("error", "+b1", "synced@8");
    expect(bench().queries().slice(0, 2)).toEqual([{}, { limit: "500" }]);
    // Next time it is tried in one piece again.
    bench().server.script.push((_, reply) => page(reply, [thing("b", 1, "4")], "20"));
    const again = bench().nextWatch();
    stream.event("ERROR", { kind: "Status", code: 410, reason: "Expired" });
    await again;
    await bench().hears("error", "synced@20");
    expect(bench().queries()[3]).toEqual({});
  });

  test("and takes long again and again is asked for more and more seldom", async () => {
    bench().server.otherwise = async (_, reply) => {
      await bench().clock.advance(12_000);
      reply.status(500, "InternalError");
    };
    bench().reflect(builtIn);
    const naps: number[] = [];
    for (let i = 0; i < 4; i++) {
      // What it waits for then is its nap, and no request's limit.
      await until(() => bench().heard.length > i);
      const ms = bench().clock.nextTimerInMs ?? 0;
      naps.push(ms);
      await bench().clock.advance(ms);
    }
    expect(naps[3]).toBeGreaterThan(naps[0]! * 4);
  });

  test("and is packed is given up as one that is not, and nothing of it is told after that", async () => {
    const first = new Promise<FakeStream>((resolve) =>
      bench().server.script.push((_, reply) => resolve(reply.stream({ "content-encoding": "gzip" }))),
    );
    bench().reflect(builtIn);
    const stream = await first;
    const noise = randomBytes(400_000).toString("hex");
    const bytes = gzipSync(listOf([{ ...thing("a", 1, "3"), noise }], "5"));
    stream.raw(bytes.subarray(0, 100_000));
    bench().server.script.push((_, reply) => page(reply, [thing("a", 2, "8")], "9"));
    const watch = bench().nextWatch();
    const resynced = bench().reflector.resync();
    stream.raw(bytes.subarray(100_000));
    stream.end();
    await watch;
    expect(await resynced).toBe(true);
    await bench().hears("+a2", "synced@9");
  });

  test("and is asked for anew while it comes is listed from the new moment on (guards: the term's own list)", async () => {
    const first = bench().nextWatch();
    bench().reflect(builtIn);
    const stream = await first;
    bench().server.script.push((_, reply) => page(reply, [thing("a", 2, "8")], "9"));
    const watch = bench().nextWatch();
    const resynced = bench().reflector.resync();
    stream.raw(listOf([thing("a", 1, "3")], "5"));
    stream.end();
    await watch;
    expect(await resynced).toBe(true);
    await bench().hears("+a2", "synced@9");
  });
});
