import { STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { type Audit, type Endpoint, type EndpointOptions, endpoints } from "./endpoints.ts";
import { type ErrorCode, problem } from "./errors.ts";
import { PROXIED_AUTHORIZATION } from "./proxied.ts";
import { TokenBucket } from "./rate-limit.ts";
import { formatOf, isProblem, problemDocument, type Result, send } from "./respond.ts";

/** As much of a logger as is used here. */
export interface ServerLogger {
  debug(about: object, message: string): void;
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
  error(about: object, message: string): void;
}

/** Deadlines and bounds on what strangers can make the process do. */
export interface ServerLimits {
  /** From the connection, or the end of the request before, to the end of the headers. Default 5 s. */
  readonly headersTimeoutMs?: number;
  /** To the end of the whole request. Default 10 s. */
  readonly requestTimeoutMs?: number;
  /** Without a byte either way: also a client that does not read. Default 30 s. */
  readonly idleTimeoutMs?: number;
  /** An idle connection between two requests. Default 20 s. */
  readonly keepAliveTimeoutMs?: number;
  /** How often the deadlines are looked at. Default 1 s. */
  readonly checkIntervalMs?: number;
  /** Default 16 KiB. */
  readonly maxHeaderBytes?: number;
  /** Default 512; further ones are closed at once. */
  readonly maxConnections?: number;
}

export interface ServerOptions extends EndpointOptions {
  /** Default `0.0.0.0`. */
  readonly host?: string;
  /** 0 takes any that is free. */
  readonly port: number;
  readonly log: ServerLogger;
  readonly limits?: ServerLimits;
}

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /** Lets answers under way finish. */
  close(): Promise<void>;
}

const loopback = new Set(["127.0.0.1", "::1", "localhost"]);
const tokenNames = /^(.*[_-])?(token|authorization|bearer|auth|api[_-]?key|password|secret)$/i;
const tokenValues = /^\s*bearer\b|^eyJ[\w-]+\.[\w-]+\./i;

/**
 * Listens for requests: health, metrics, explanations.
 *
 * @throws Error that says which option to change, if the address cannot be had
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const host = options.host ?? "0.0.0.0";
  if (!options.metricsAuth && !loopback.has(host)) {
    throw new Error(
      `metrics without authentication are for a loopback address alone, not for ${host}: ` +
        "leave out --metrics-auth=false or listen on 127.0.0.1",
    );
  }
  const app = createApp(options);
  try {
    await app.listen({ host, port: options.port });
  } catch (error) {
    await app.close();
    throw listenError(error, host, options.port);
  }
  const { address, port } = app.server.address() as AddressInfo;
  return { host: address, port, close: () => app.close() };
}

function listenError(error: unknown, host: string, port: number): Error {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE") {
    return new Error(`port ${port} of ${host} is in use by another process: choose another one with --http-port`);
  }
  if (code === "EACCES") return new Error(`port ${port} may not be used: choose one above 1023 with --http-port`);
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return new Error(`${host} is no address of this machine`);
  return error as Error;
}

function createApp(options: ServerOptions): FastifyInstance {
  const { limits = {} } = options;
  const finish = finisher(options);
  const app = fastify({
    logger: false,
    trustProxy: false,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    bodyLimit: 1,
    requestTimeout: limits.requestTimeoutMs ?? 10_000,
    connectionTimeout: limits.idleTimeoutMs ?? 30_000,
    keepAliveTimeout: limits.keepAliveTimeoutMs ?? 20_000,
    http: {
      headersTimeout: limits.headersTimeoutMs ?? 5_000,
      connectionsCheckingInterval: limits.checkIntervalMs ?? 1_000,
      maxHeaderSize: limits.maxHeaderBytes ?? 16_384,
    },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (_error, request, reply) =>
      finish(request, reply, problem("bad-request", { detail: "its URL is malformed" })),
  });
  app.server.maxConnections = limits.maxConnections ?? 512;
  app.server.maxHeadersCount = 100;
  app.addHook("onRequest", (request, reply, next) => {
    const refusal = refusalOf(request);
    if (refusal === undefined) return next();
    // What else is on the connection is not read.
    void reply.header("connection", "close");
    finish(request, reply, problem(refusal));
  });
  app.setNotFoundHandler((request, reply) =>
    finish(request, reply, problem(request.method === "GET" ? "not-found" : "method-not-allowed")),
  );
  app.setErrorHandler((error, request, reply) => {
    if (((error as { statusCode?: number }).statusCode ?? 500) < 500) {
      return finish(request, reply, problem("bad-request", { detail: "it breaks the rules of HTTP" }));
    }
    options.log.error({ err: error, route: routeOf(request) }, "request failed");
    return finish(request, reply, problem("internal"));
  });
  for (const endpoint of endpoints(options)) serve(app, endpoint, finish);
  return app;
}

type Finish = (request: FastifyRequest, reply: FastifyReply, result: Result, audit?: Audit) => void;

function serve(app: FastifyInstance, { path, handle }: Endpoint, finish: Finish): void {
  app.get(path, async (request, reply) => {
    const audit: Audit = {};
    const { params, query } = request;
    const authorization = request.headers.authorization ?? request.headers[PROXIED_AUTHORIZATION];
    const incoming = { authorization: typeof authorization === "string" ? authorization : undefined, params, query };
    finish(request, reply, await handle(incoming, audit), audit);
    return reply;
  });
}

/** Reasons to look at nothing more of a request. */
function refusalOf(request: FastifyRequest): ErrorCode | undefined {
  for (const [name, value] of Object.entries(request.query as Record<string, unknown>)) {
    const values = Array.isArray(value) ? value : [value];
    if (tokenNames.test(name) || values.some((text) => tokenValues.test(String(text)))) return "token-in-query";
  }
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  return encoding !== undefined || Number(length) !== 0 ? "body-too-large" : undefined;
}

/** Sends an answer and logs it: the route's pattern and never the URL, which may hold anything. */
function finisher({ log, clock }: ServerOptions): Finish {
  // Strangers can make as many lines as they like; what known callers do is bounded elsewhere.
  const lines = new TokenBucket({ perSecond: 10, burst: 100 }, clock.monotonicMs());
  return (request, reply, result, audit = {}) => {
    send(reply, formatOf((request.query as { format?: unknown } | undefined)?.format, request.headers.accept), result);
    const { statusCode: status, elapsedTime: ms } = reply;
    const about = { method: request.method, route: routeOf(request), status, ms: Math.round(ms), ...audit };
    if (!isProblem(result)) return log.debug(about, "request answered");
    if (audit.user === undefined && !lines.take(clock.monotonicMs())) return;
    log.info({ ...about, code: result.code }, "request refused");
  };
}

const routeOf = (request: FastifyRequest): string => request.routeOptions?.url ?? "-";

/** What never became a request: broken HTTP, headers that are too large or do not come. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = connectionErrors[error.code ?? ""] ?? "bad-request";
  const refusal = problem(code, { detail: "it breaks the rules of HTTP" });
  const body = `${JSON.stringify(problemDocument(refusal).json)}\n`;
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroySoon());
}

const connectionErrors: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers-too-large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "body-too-large",
  ERR_HTTP_REQUEST_TIMEOUT: "request-timeout",
};
