import { buildConnector, type Dispatcher, Pool } from "undici";
import { type ApiError, apiErrorOf, isStatus, TransportError, type TransportErrorKind } from "./api-error.ts";
import { type BackoffLimits, backoffMs } from "./backoff.ts";
import { type Clock, sleep } from "./clock.ts";
import type { ClusterConfig, Headers } from "./config.ts";
import { exchange, HeldBack, type HttpAnswer, type HttpRequest, type StreamOptions } from "./http-exchange.ts";
import type { Message } from "./protobuf.ts";
import { type Priority, RequestGate } from "./request-gate.ts";
import { acceptOf, bodyOf, parseBody } from "./wire-format.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  readonly query?: Query;
  /** Plain JSON. */
  readonly body?: unknown;
  /** Sends the body as protobuf, as a message of this type; it is plain JSON all the same. */
  readonly send?: Message | undefined;
  /** Asks for protobuf and reads this much of it; the answer is plain JSON all the same. */
  readonly as?: Message | undefined;
  /** Default: that of the format; a PATCH must name its kind of patch. */
  readonly contentType?: string;
  /** Of one attempt, from the moment it has a connection slot. Default: the transport's. */
  readonly timeoutMs?: number;
  /** Gives up, also while waiting for a slot, a hold or a retry. */
  readonly signal?: AbortSignal;
  /** Default `normal`. */
  readonly priority?: Priority;
  /** May it be sent twice? Default: true but for POST. A POST of a deterministic name says true. */
  readonly idempotent?: boolean;
  /** Further attempts after the first. Default: the transport's. */
  readonly retries?: number;
  /** Asked right before each attempt is written; on false nothing is sent (any more): the fencing of a leader. */
  readonly fence?: () => boolean;
  /**
   * For the leader's lease alone: waits for no slot and for no hold (its own Retry-After is the elector's to honour), so
   * that overload elsewhere does not cost the leadership.
   */
  readonly urgent?: boolean;
  /** Labels of `onRequest`. Default: from method and path. */
  readonly verb?: string;
  readonly resource?: string;
}

export interface StreamRequestOptions extends Omit<StreamOptions, "packed"> {
  /** Default `watch`. A list comes packed, which costs both sides less than encrypting what was not. */
  readonly verb?: "watch" | "list";
  readonly query: Query;
  readonly signal: AbortSignal;
  /** Asks for protobuf; `onData` is told which format came. */
  readonly as?: Message | undefined;
  /** Until the answer's headers are there. Default 30 s. */
  readonly openTimeoutMs?: number;
  readonly resource?: string;
}

export interface RawOptions {
  readonly query?: Query;
  /** Further headers, made of those that carry our credentials. */
  readonly headers?: (credentials: Headers) => Headers;
  readonly signal?: AbortSignal;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** What the rest of this folder needs of the network; a simulator can stand in for it. */
export interface Transport {
  /**
   * @returns the answer's body, parsed (undefined if empty)
   * @throws ApiError for any status but 2xx, TransportError without a whole answer
   */
  request(method: Method, path: string, options?: RequestOptions): Promise<unknown>;
  /** An answer that is read while it comes. Resolves when the server ends it; the errors are those of `request`. */
  stream(path: string, options: StreamRequestOptions): Promise<void>;
  /** Calls `listener` at the first answer after a time without any; returns how to stop listening. */
  onReachable(listener: () => void): () => void;
}

/** One attempt that ended. `code` is the HTTP status or the kind of a TransportError; `resource` has no names in it. */
export interface RequestRecord {
  readonly verb: string;
  readonly resource: string;
  readonly code: string;
  readonly seconds: number;
}

export interface TransportOptions {
  readonly config: ClusterConfig;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly userAgent: string;
  /** Connections for requests, and so requests at a time. Default 32; watches have connections of their own. */
  readonly connections?: number;
  /** Of one attempt. Named by everybody: a leader's must not outlast its lease. */
  readonly timeoutMs: number;
  /** Default 4. */
  readonly retries?: number;
  /** Between attempts; a longer Retry-After wins. Default 0.25 s to 8 s. */
  readonly backoff?: BackoffLimits;
  readonly onRequest?: (record: RequestRecord) => void;
}

const connectTimeoutMs = 5_000;
// Below the 90 s after which an API server closes idle connections, so that it never does so under a request.
const keepAliveMs = 50_000;
// A dead peer shows within this and ten probes of a second; an idle watch sends nothing by itself.
const tcpKeepAliveMs = 10_000;
const holdWithoutRetryAfterMs = 1_000;

/**
 * The operator's only way to the API server: HTTP/1.1 over pooled keep-alive connections, plain JSON both ways for its callers.
 *
 * Retries 429, 5xx and network errors of what may be sent twice, and network errors of what was not sent at all. After a
 * 429, nothing (but the lease) is sent before Retry-After has passed.
 */
export class HttpTransport implements Transport {
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #gate: RequestGate;
  readonly #requests: Dispatcher;
  readonly #streams: Dispatcher;
  readonly #basePath: string;
  readonly #listeners = new Set<() => void>();
  #reachable = true;

  constructor(options: TransportOptions) {
    const url = new URL(options.config.server);
    const connections = options.connections ?? 32;
    this.#options = options;
    this.#clock = options.clock;
    this.#basePath = url.pathname.replace(/\/+$/, "");
    this.#gate = new RequestGate(options.clock, connections);
    const pool = {
      connect: freshConnector(options.config),
      pipelining: 1,
      keepAliveTimeout: keepAliveMs,
      allowH2: false,
    };
    this.#requests = new Pool(url.origin, { ...pool, connections });
    this.#streams = new Pool(url.origin, { ...pool, connections: null });
  }

  async request(method: Method, path: string, options: RequestOptions = {}): Promise<unknown> {
    const idempotent = options.idempotent ?? method !== "POST";
    const retries = options.retries ?? this.#options.retries ?? 4;
    // Serialised once: a repeated create is the identical body.
    const body = options.body === undefined ? undefined : bodyOf(options.body as object, options.send);
    let unknown = false;
    for (let failures = 0; ; failures++) {
      const result = await this.#attempt(method, path, body, options);
      if (!(result instanceof Error)) return result.json;
      unknown ||= mayHaveHappened(method, result);
      const mayRetry = failures < retries && isRetryable(result, idempotent);
      if (!mayRetry || options.signal?.aborted) throw settled(method, result, unknown);
      await sleep(this.#clock, this.#delayMs(result, failures), options.signal);
    }
  }

  async stream(path: string, options: StreamRequestOptions): Promise<void> {
    // A hold is for streams too; slots are not.
    while (this.#gate.isHeld && !options.signal.aborted) await sleep(this.#clock, this.#gate.holdMs, options.signal);
    const { verb = "watch" } = options;
    const packed = verb === "list";
    const accept = acceptOf(options.as, !packed);
    const further = () => ({ "accept-encoding": packed ? "gzip" : "identity" });
    const request = { method: "GET", path: this.#target(path, options.query), body: undefined, accept, further };
    const labels = { verb, resource: options.resource ?? resourceOf(path) };
    const answer = await this.#exchange(this.#streams, request, labels, {
      signal: options.signal,
      timeoutMs: options.openTimeoutMs ?? 30_000,
      veto: () => (this.#gate.isHeld ? "held" : undefined),
      stream: { ...options, packed },
    }).catch((error: unknown) => {
      if (error instanceof HeldBack) return undefined;
      throw error;
    });
    if (answer === undefined) return this.stream(path, options);
    if (answer.status >= 300) throw this.#errorOf(answer);
  }

  /**
   * One GET of something that is no object of the API, such as what is behind the proxy of a Service: whatever the answer is,
   * it comes back as it is.
   *
   * @throws TransportError without a whole answer
   */
  async raw(path: string, { query, headers, signal }: RawOptions = {}): Promise<RawAnswer> {
    const target = this.#target(path, query);
    const request = { method: "GET", path: target, body: undefined, accept: "*/*", further: headers };
    const options = { signal, timeoutMs: this.#options.timeoutMs, veto: undefined, stream: undefined };
    const { status, body } = await this.#exchange(this.#streams, request, { verb: "get", resource: "raw" }, options);
    return { status, text: body.toString("utf8") };
  }

  onReachable(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends every connection; requests under way fail. */
  async close(): Promise<void> {
    await Promise.all([this.#requests.destroy(), this.#streams.destroy()]);
  }

  async #attempt(
    method: Method,
    path: string,
    body: ReturnType<typeof bodyOf> | undefined,
    options: RequestOptions,
  ): Promise<{ json: unknown } | ApiError | TransportError> {
    const { as } = options;
    const accept = acceptOf(as);
    const contentType = options.contentType ?? body?.contentType;
    const request = { method, path: this.#target(path, options.query), body: body?.body, contentType, accept };
    const labels = {
      verb: options.verb ?? method.toLowerCase(),
      resource: options.resource ?? resourceOf(path),
    };
    const veto = (): TransportErrorKind | "held" | undefined => {
      if (options.fence?.() === false) return "fenced";
      return this.#gate.isHeld && !options.urgent ? "held" : undefined;
    };
    const signal = options.signal;
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
    for (;;) {
      if (!options.urgent && !(await this.#gate.enter(options.priority ?? "normal", signal))) {
        return new TransportError("aborted", "by the caller", false, false);
      }
      try {
        if (veto() === "fenced") return new TransportError("fenced", "stopped before it was sent", false, false);
        const pool = options.urgent ? this.#streams : this.#requests;
        return this.#parse(
          method,
          await this.#exchange(pool, request, labels, { signal, timeoutMs, veto, stream: undefined }),
          as,
        );
      } catch (error) {
        if (error instanceof TransportError) return error;
        if (!(error instanceof HeldBack)) throw error;
      } finally {
        if (!options.urgent) this.#gate.leave();
      }
    }
  }

  /** Sends with credentials; refused ones are replaced once. A 401 was never carried out, so any method may go again. */
  async #exchange(
    pool: Dispatcher,
    request: Omit<HttpRequest, "headers"> & {
      contentType?: string | undefined;
      accept: string;
      further?: RawOptions["headers"];
    },
    labels: { verb: string; resource: string },
    options: Parameters<typeof exchange>[2],
  ): Promise<HttpAnswer> {
    let rejected: Headers | undefined;
    for (;;) {
      const credentials = await this.#credentials(rejected);
      const own = this.#headers(credentials, request.accept, request.contentType);
      const headers = { ...own, ...request.further?.(credentials) };
      const startMs = this.#clock.monotonicMs();
      const record = (code: string): void =>
        this.#options.onRequest?.({ ...labels, code, seconds: (this.#clock.monotonicMs() - startMs) / 1_000 });
      try {
        const answer = await exchange(pool, { ...request, headers }, options, this.#clock);
        record(String(answer.status));
        this.#noteReachable(true);
        if (answer.status === 429) {
          this.#gate.hold(this.#errorOf(answer).retryAfterMs ?? holdWithoutRetryAfterMs);
        }
        if (answer.status !== 401 || rejected !== undefined) return answer;
        rejected = credentials;
      } catch (error) {
        if (error instanceof TransportError) {
          record(error.kind);
          if (error.kind === "network" || error.kind === "timeout") this.#noteReachable(false);
        }
        throw error;
      }
    }
  }

  async #credentials(rejected: Headers | undefined): Promise<Headers> {
    try {
      return await this.#options.config.authorize(rejected);
    } catch {
      // The error's text may quote what a plugin printed.
      throw new TransportError("credentials", "the token file or plugin yields none", false, false);
    }
  }

  #headers(credentials: Headers, accept: string, contentType: string | undefined): Record<string, string> {
    const headers: Record<string, string> = {
      ...credentials,
      accept,
      "user-agent": this.#options.userAgent,
    };
    if (contentType !== undefined) headers["content-type"] = contentType;
    return headers;
  }

  #target(path: string, query: Query | undefined): string {
    const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
    const text = pairs
      .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`)
      .join("&");
    return `${this.#basePath}${path}${text && `?${text}`}`;
  }

  #parse(method: Method, answer: HttpAnswer, as: Message | undefined): { json: unknown } | ApiError | TransportError {
    if (answer.status >= 300) return this.#errorOf(answer);
    if (answer.body.length === 0) return { json: undefined };
    try {
      return { json: parseBody(answer.contentType, answer.body, as) };
    } catch {
      return new TransportError("network", `the answer to ${method} cannot be read`, true, false);
    }
  }

  #errorOf(answer: HttpAnswer): ApiError {
    let body: unknown;
    try {
      body = parseBody(answer.contentType, answer.body);
    } catch {
      // A proxy's error page: the status must do.
    }
    const { status: httpStatus, retryAfterHeader } = answer;
    return apiErrorOf(body, { httpStatus, retryAfterHeader, nowMs: this.#clock.nowMs() });
  }

  #delayMs(error: ApiError | TransportError, failures: number): number {
    const limits = this.#options.backoff ?? { baseMs: 250, maxMs: 8_000 };
    const retryAfterMs = error.kind === "status" ? (error.retryAfterMs ?? 0) : 0;
    return Math.max(retryAfterMs, backoffMs(failures, limits, this.#options.random));
  }

  #noteReachable(reachable: boolean): void {
    const back = reachable && !this.#reachable;
    this.#reachable = reachable;
    if (back) for (const listener of [...this.#listeners]) listener();
  }
}

/** Certificates rotate: the TLS options are asked for at each connect, and a change drops the sessions of before. */
function freshConnector(config: ClusterConfig): buildConnector.connector {
  let tls = config.tls;
  const build = (): buildConnector.connector =>
    buildConnector({
      ...tls,
      allowH2: false,
      timeout: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveMs,
    });
  let connect = build();
  return (options, callback) => {
    if (config.tls !== tls) {
      tls = config.tls;
      connect = build();
    }
    connect(options, callback);
  };
}

function isRetryable(error: ApiError | TransportError, idempotent: boolean): boolean {
  if (error.kind === "status") return idempotent && (error.status === 429 || error.status >= 500);
  if (error.kind === "credentials") return true;
  return (error.kind === "network" || error.kind === "timeout") && (idempotent || !error.sent);
}

/** A 5xx says nothing about the write: etcd may time out after it has stored it. */
function mayHaveHappened(method: Method, error: ApiError | TransportError): boolean {
  if (method === "GET") return false;
  return error.kind === "status" ? error.status >= 500 : error.sent;
}

/** An attempt that may have happened stays so, but for answers that show the end state itself. */
function settled(method: Method, error: ApiError | TransportError, unknown: boolean): ApiError | TransportError {
  const shown =
    (method === "POST" && isStatus(error, 409, "AlreadyExists")) || (method === "DELETE" && isStatus(error, 404));
  return error.withOutcomeUnknown(unknown && !shown);
}

/** `/api/v1/namespaces/a/pods/b/status` → `pods/status`: a label must not hold names. */
function resourceOf(path: string): string {
  const parts = path.split("/").slice(path.startsWith("/api/") ? 3 : 4);
  const rest = parts[0] === "namespaces" && parts.length > 2 ? parts.slice(2) : parts;
  return rest[2] === undefined ? (rest[0] ?? "") : `${rest[0]}/${rest[2]}`;
}
