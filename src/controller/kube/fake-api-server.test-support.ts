import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./clock.test-support.ts";
import type { ClusterConfig } from "./config.ts";

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: unknown;
  /** By the clock given to the server. */
  readonly atMs: number;
}

/** Answers one request in whatever way a server, a proxy or a network can. */
export class FakeReply {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.text(status, JSON.stringify(body), { "content-type": "application/json", ...headers });
  }

  text(status: number, body: string, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, headers);
    this.#response.end(body);
  }

  status(code: number, reason: string, message = "", headers: Record<string, string> = {}): void {
    this.json(code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }, headers);
  }

  /** The connection breaks without an answer. */
  drop(): void {
    this.#response.socket?.destroy();
  }

  stream(headers: Record<string, string> = {}): FakeStream {
    this.#response.writeHead(200, { "content-type": "application/json", ...headers });
    this.#response.flushHeaders();
    return new FakeStream(this.#response);
  }
}

/** A watch, seen from the server. */
export class FakeStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  event(type: string, object: object): void {
    this.raw(`${JSON.stringify({ type, object })}\n`);
  }

  bookmark(resourceVersion: string, initialEventsEnd = false): void {
    const annotations = initialEventsEnd ? { "k8s.io/initial-events-end": "true" } : undefined;
    this.event("BOOKMARK", { metadata: { resourceVersion, annotations } });
  }

  raw(bytes: string | Buffer): void {
    this.#response.write(bytes);
  }

  end(): void {
    this.#response.end();
  }

  drop(): void {
    this.#response.socket?.destroy();
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }
}

export type Answer = (request: FakeRequest, reply: FakeReply) => void;

/** An API server that does what a test says, over plain HTTP on a port of its own. */
export class FakeApiServer {
  /** Every request in order of arrival, answered or not. */
  readonly requests: FakeRequest[] = [];
  /** Answers of the next requests, in order; after them, `otherwise`. */
  readonly script: Answer[] = [];
  otherwise: Answer = (_, reply) => reply.status(404, "NotFound");
  readonly #server: Server;

  private constructor(nowMs: () => number) {
    this.#server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const url = new URL(incoming.url ?? "/", "http://fake");
        const text = Buffer.concat(chunks).toString("utf8");
        const request: FakeRequest = {
          method: incoming.method ?? "",
          path: url.pathname,
          query: url.searchParams,
          headers: incoming.headers,
          text,
          body: text === "" ? undefined : JSON.parse(text),
          atMs: nowMs(),
        };
        this.requests.push(request);
        (this.script.shift() ?? this.otherwise)(request, new FakeReply(response));
      });
    });
  }

  static async start(nowMs: () => number = () => 0): Promise<FakeApiServer> {
    const fake = new FakeApiServer(nowMs);
    await fake.#listen(0);
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  config(): ClusterConfig {
    const headers = { authorization: "Bearer canary" };
    return {
      server: `http://127.0.0.1:${this.port}`,
      tls: {},
      namespace: "default",
      authorize: () => Promise.resolve(headers),
    };
  }

  /** Resolves once `count` requests have arrived. */
  async arrived(count: number): Promise<void> {
    await until(() => this.requests.length >= count);
  }

  /** Refuses connections and breaks those there are, until the returned function is called. */
  async outage(): Promise<() => Promise<void>> {
    const { port } = this;
    await this.stop();
    return () => this.#listen(port);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", () => resolve()));
  }
}
