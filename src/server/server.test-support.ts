import { connect, type Socket } from "node:net";
import { Reviews, type ReviewsOptions } from "./auth.ts";
import type { Standing } from "./endpoints.ts";
import { FakeApi } from "./fake-api.test-support.ts";
import { createLogger } from "./logging.ts";
import { Metrics } from "./metrics.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";
import { FakeBroker, taskView } from "./views.test-support.ts";

export interface TestServer {
  readonly server: RunningServer;
  readonly api: FakeApi;
  readonly broker: FakeBroker;
  /** Lines of the log. */
  readonly log: string[];
  readonly state: { standing: Standing };
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  url(path: string): string;
}

/**
 * A server on a free port. Anna may see everything of team-a, its queue and the metrics; Bert has a token and no rights.
 */
export async function startTestServer(
  options: Partial<ServerOptions> & { reviews?: Partial<ReviewsOptions> } = {},
): Promise<TestServer> {
  const api = new FakeApi();
  api.users.set("token-of-anna", { username: "anna" });
  api.users.set("token-of-bert", { username: "bert" });
  for (const right of [
    "tasks team-a/train",
    "tasks team-a/gone",
    "frameworks team-a/etl",
    "queues research",
    "/metrics",
  ]) {
    api.rights.add(`anna get ${right}`);
  }
  const broker = new FakeBroker();
  broker.taskViews.set("team-a/train", taskView());
  broker.addFramework("team-a/etl");
  broker.addQueue("research");
  const state: { standing: Standing } = { standing: { role: "leader", open: true } };
  const leading = () => (state.standing.role === "leader" && state.standing.open ? broker : undefined);
  const lines: string[] = [];
  const clock = { nowMs: () => Date.UTC(2026, 0, 2), monotonicMs: () => performance.now() };
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    log: createLogger({
      level: "debug",
      nowMs: clock.nowMs,
      destination: { write: (line: string) => lines.push(line) },
    }),
    auth: new Reviews({ post: api.post, monotonicMs: clock.monotonicMs, ...options.reviews }),
    metrics: new Metrics({
      version: "0",
      nodeVersion: "0",
      views: leading,
      nowMs: clock.nowMs,
      processMetrics: false,
    }),
    metricsAuth: true,
    standing: () => state.standing,
    explain: leading,
    clock,
    ...options,
  });
  const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;
  const get = (path: string, headers: Record<string, string> = {}) => fetch(url(path), { headers });
  return { server, api, broker, log: lines, state, get, url };
}

export const anna = { authorization: "Bearer token-of-anna" };
export const bert = { authorization: "Bearer token-of-bert" };

/** A connection on which a test sends what no client library would. */
export class RawConnection {
  readonly #socket: Socket;
  received = "";
  sentBytes = 0;
  /** Resolves when the connection has ended, however. */
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => {
      this.received += text;
    });
    this.#socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.#socket.on("close", () => resolve()));
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  /** Sends `text` again and again, as fast as it is taken, until `bytes` are sent or the connection ends. */
  async flood(text: string, bytes: number): Promise<void> {
    while (this.sentBytes < bytes && !this.#socket.destroyed && this.#socket.writable) {
      this.sentBytes += text.length;
      if (this.#socket.write(text)) await new Promise((resolve) => setImmediate(resolve));
      else await Promise.race([this.closed, new Promise((resolve) => this.#socket.once("drain", resolve))]);
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Waits until something was received that matches. */
  async receive(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.#socket.destroyed) throw new Error(`the connection ended with: ${this.received}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.received;
  }

  end(): void {
    this.#socket.destroy();
  }
}
