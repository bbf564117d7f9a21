import { afterEach, beforeEach, expect } from "vitest";
import { FakeClock, settle, until } from "./clock.test-support.ts";
import { FakeApiServer, type FakeReply, type FakeStream } from "./fake-api-server.test-support.ts";
import { Reflector, type ReflectorEvent, type ReflectorOptions } from "./reflector.ts";
import { HttpTransport } from "./transport.ts";

export interface Thing {
  readonly name: string;
  readonly value: number;
}

/** A reflector of things, a server that says what the test says, and what the consumer heard. */
export class ReflectorBench {
  readonly clock: FakeClock;
  readonly server: FakeApiServer;
  readonly transport: HttpTransport;
  /** One word a change: `+a1` (upsert), `~a2<a1` (with previous), `-a2`, `synced@9`, `error`. */
  readonly heard: string[] = [];
  #reflector: Reflector<Thing> | undefined;
  running: Promise<void> = Promise.resolve();

  constructor(server: FakeApiServer, clock: FakeClock) {
    this.server = server;
    this.clock = clock;
    this.transport = new HttpTransport({
      config: server.config(),
      clock,
      random: () => 0.5,
      userAgent: "proffer/test",
      timeoutMs: 10_000,
    });
  }

  get reflector(): Reflector<Thing> {
    return this.#reflector!;
  }

  reflect(options: Partial<ReflectorOptions<Thing>> = {}): void {
    this.#reflector = new Reflector<Thing>({
      transport: this.transport,
      clock: this.clock,
      random: () => 0.5,
      resource: { group: "", version: "v1", plural: "things" },
      project: ({ metadata, value }) => ({ name: metadata.name, value: value as number }),
      onEvent: (event) => this.heard.push(word(event)),
      ...options,
    });
    this.running = this.#reflector.start();
  }

  async close(): Promise<void> {
    this.#reflector?.stop();
    await this.running.catch(() => {});
    await this.transport.close();
    await this.server.stop();
  }

  /** The next watch is answered with the whole state. */
  streamedList(objects: object[], resourceVersion: string): Promise<FakeStream> {
    return new Promise((resolve) =>
      this.server.script.push((_, reply) => {
        const stream = reply.stream();
        for (const object of objects) stream.event("ADDED", object);
        stream.bookmark(resourceVersion, true);
        resolve(stream);
      }),
    );
  }

  nextWatch(): Promise<FakeStream> {
    return new Promise((resolve) => this.server.script.push((_, reply) => resolve(reply.stream())));
  }

  /** A reflector that has its first list; what it heard of that is forgotten. */
  async synced(objects: object[] = [thing("a", 1, "3")], version = "5"): Promise<FakeStream> {
    const listed = this.streamedList(objects, version);
    this.reflect();
    const stream = await listed;
    await this.reflector.synced;
    this.heard.length = 0;
    return stream;
  }

  async hears(...words: string[]): Promise<void> {
    await until(() => this.heard.length >= words.length);
    await settle();
    expect(this.heard.splice(0)).toEqual(words);
  }

  /** Waits until the reflector naps, then lets the nap pass; requests and watches have limits of 30 s and more. */
  async nap(): Promise<number> {
    await until(() => (this.clock.nextTimerInMs ?? 30_000) < 30_000);
    const ms = this.clock.nextTimerInMs ?? 0;
    await this.clock.advance(ms);
    return ms;
  }

  queries(): Record<string, string>[] {
    return this.server.requests.map(({ query }) => Object.fromEntries(query));
  }

  /** How often the whole state was asked for. */
  lists(): number {
    return this.queries().filter(({ resourceVersion }) => resourceVersion === undefined).length;
  }
}

/** A new bench for each test of a file. */
export function useBench(): () => ReflectorBench {
  let bench: ReflectorBench;
  beforeEach(async () => {
    const clock = new FakeClock();
    bench = new ReflectorBench(await FakeApiServer.start(() => clock.monotonicMs()), clock);
  });
  afterEach(() => bench.close());
  return () => bench;
}

export function word(event: ReflectorEvent<Thing>): string {
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

export function thing(name: string, value: number, resourceVersion: string, uid = `uid-${name}`): object {
  return { metadata: { name, uid, resourceVersion, managedFields: ["x"] }, value };
}

export function page(reply: FakeReply, items: object[], resourceVersion: string, next?: string): void {
  reply.json(200, { metadata: { resourceVersion, continue: next }, items });
}
