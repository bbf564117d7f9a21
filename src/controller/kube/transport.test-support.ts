import { afterEach, beforeEach } from "vitest";
import { ApiError, TransportError } from "./api-error.ts";
import { resourcePath } from "./client.ts";
import { FakeClock, until } from "./clock.test-support.ts";
import { type Answer, FakeApiServer } from "./fake-api-server.test-support.ts";
import { HttpTransport, type RequestRecord, type StreamRequestOptions, type TransportOptions } from "./transport.ts";

export const pods = { group: "", version: "v1", plural: "pods", namespace: "a" };
export const path = resourcePath(pods);
export const requestTimeoutMs = 10_000;

export const ok: Answer = (_, reply) => reply.json(200, { done: true });
export const hang: Answer = () => {};
export const drop: Answer = (_, reply) => reply.drop();

/** A transport to a server that answers as the test says, at a time that moves as the test says. */
export class TransportBench {
  readonly clock: FakeClock;
  readonly server: FakeApiServer;
  readonly records: RequestRecord[] = [];
  transport: HttpTransport;

  constructor(server: FakeApiServer, clock: FakeClock) {
    this.server = server;
    this.clock = clock;
    this.transport = this.#connect({});
  }

  /** Another transport in place of the first. */
  async reconnect(options: Partial<TransportOptions>): Promise<void> {
    await this.transport.close();
    this.transport = this.#connect(options);
  }

  async close(): Promise<void> {
    await this.transport.close();
    await this.server.stop();
  }

  /**
   * Lets fake time pass whenever somebody waits between two attempts, until `promise` has settled. Waits are shorter than
   * the limit of a request under way, whose timer does not move as long as time stands still.
   */
  async withTime<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    while (!settled) {
      await until(() => settled || (this.clock.nextTimerInMs ?? requestTimeoutMs) < requestTimeoutMs);
      await this.clock.advance(settled ? 0 : (this.clock.nextTimerInMs ?? 0));
    }
    return promise;
  }

  #connect(options: Partial<TransportOptions>): HttpTransport {
    return new HttpTransport({
      config: this.server.config(),
      clock: this.clock,
      random: () => 0.5,
      userAgent: "proffer/test",
      timeoutMs: 10_000,
      onRequest: (record) => this.records.push(record),
      ...options,
    });
  }
}

/** A new bench for each test of a file. */
export function useBench(): () => TransportBench {
  let bench: TransportBench;
  beforeEach(async () => {
    const clock = new FakeClock();
    bench = new TransportBench(await FakeApiServer.start(() => clock.monotonicMs()), clock);
  });
  afterEach(() => bench.close());
  return () => bench;
}

export function watchOptions(signal = new AbortController().signal): StreamRequestOptions {
  return { query: { watch: true }, signal, onData: () => {}, silenceLimitMs: 60_000 };
}

export async function failure(promise: Promise<unknown>): Promise<ApiError | TransportError> {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof ApiError || error instanceof TransportError) return error;
  throw error;
}
