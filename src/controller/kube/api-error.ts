/** What can go wrong between us and the API server. Bodies and headers never enter an error: they would end in logs. */

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

const maxMessageLength = 1_024;

/** The server answered, with a status that is not 2xx. */
export class ApiError extends Error {
  readonly kind = "status";
  readonly status: number;
  /** Kubernetes' reason (`AlreadyExists`, `Conflict`, …), or "" where the answer was no Status object. */
  readonly reason: string;
  readonly causes: readonly StatusCause[];
  /** How long the server asked us to wait, if it did. */
  readonly retryAfterMs: number | undefined;
  /** True if a write may have been applied nevertheless, or may still be (this attempt or one before it). */
  readonly outcomeUnknown: boolean;
  /** The Status' message alone. */
  readonly text: string;

  constructor(answer: {
    status: number;
    reason?: string;
    message?: string;
    causes?: readonly StatusCause[];
    retryAfterMs?: number | undefined;
    outcomeUnknown?: boolean;
  }) {
    const reason = answer.reason ?? "";
    const text = clip(answer.message ?? "");
    super(`${answer.status}${reason && ` ${reason}`}${text && `: ${text}`}`);
    this.name = "ApiError";
    this.text = text;
    this.status = answer.status;
    this.reason = reason;
    this.causes = answer.causes ?? [];
    this.retryAfterMs = answer.retryAfterMs;
    this.outcomeUnknown = answer.outcomeUnknown ?? false;
  }

  withOutcomeUnknown(outcomeUnknown: boolean): ApiError {
    return outcomeUnknown === this.outcomeUnknown
      ? this
      : new ApiError({ ...this, message: this.text, outcomeUnknown });
  }
}

/**
 * - `network`: no connection, or it broke; `timeout`: no answer in time; `aborted`: the caller's signal;
 * - `fenced`: the caller's fence had fallen when the request was about to be sent;
 * - `credentials`: none could be had.
 */
export type TransportErrorKind = "network" | "timeout" | "aborted" | "fenced" | "credentials";

/** There was no whole answer. */
export class TransportError extends Error {
  readonly kind: TransportErrorKind;
  /** False only if not one byte of the (last) request left us. */
  readonly sent: boolean;
  /** Why, without anything from headers or bodies. */
  readonly detail: string;
  /** True if a write may have been applied nevertheless, or may still be (this attempt or one before it). */
  readonly outcomeUnknown: boolean;

  constructor(kind: TransportErrorKind, detail: string, sent: boolean, outcomeUnknown: boolean) {
    super(`${kind}: ${clip(detail)}`);
    this.name = "TransportError";
    this.kind = kind;
    this.sent = sent;
    this.detail = detail;
    this.outcomeUnknown = outcomeUnknown;
  }

  withOutcomeUnknown(outcomeUnknown: boolean): TransportError {
    if (outcomeUnknown === this.outcomeUnknown) return this;
    return new TransportError(this.kind, this.detail, this.sent, outcomeUnknown);
  }
}

/**
 * True if the write that failed with `error` may have happened, or may happen yet. Then a create must be repeated with
 * the identical body until it is settled (201 or 409).
 */
export function isOutcomeUnknown(error: unknown): boolean {
  return (error instanceof ApiError || error instanceof TransportError) && error.outcomeUnknown;
}

export function isStatus(error: unknown, status: number, reason?: string): error is ApiError {
  return error instanceof ApiError && error.status === status && (reason === undefined || error.reason === reason);
}

export function isNotFound(error: unknown): boolean {
  return isStatus(error, 404);
}

export function isAlreadyExists(error: unknown): boolean {
  return isStatus(error, 409, "AlreadyExists");
}

export function isConflict(error: unknown): boolean {
  return isStatus(error, 409, "Conflict");
}

/** The resourceVersion or continue token asked for is too old: only a new list helps. */
export function isGone(error: unknown): boolean {
  return isStatus(error, 410);
}

/**
 * Reads a `Status` object as it came (an answer's body, or the object of a watch event of type ERROR). Whatever is no
 * Status, such as a proxy's error page, leaves nothing but the HTTP status.
 *
 * @param retryAfterHeader the header's text: whole seconds, or an HTTP date (read against `nowMs`)
 */
export function apiErrorOf(
  body: unknown,
  answer: { httpStatus?: number; retryAfterHeader?: string | undefined; nowMs?: number; outcomeUnknown?: boolean },
): ApiError {
  const status = isRecord(body) && body.kind === "Status" ? body : {};
  const details = isRecord(status.details) ? status.details : {};
  const seconds = details.retryAfterSeconds;
  const code = answer.httpStatus ?? (typeof status.code === "number" ? status.code : 500);
  return new ApiError({
    status: code,
    reason: text(status.reason),
    message: text(status.message),
    causes: Array.isArray(details.causes) ? details.causes.filter(isRecord).slice(0, 32).map(causeOf) : [],
    retryAfterMs:
      retryAfterMs(answer.retryAfterHeader, answer.nowMs ?? 0) ??
      (typeof seconds === "number" && seconds > 0 ? seconds * 1_000 : undefined),
    outcomeUnknown: answer.outcomeUnknown ?? false,
  });
}

function causeOf(cause: Record<string, unknown>): StatusCause {
  return { reason: text(cause.reason), message: text(cause.message), field: text(cause.field) };
}

function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

function text(value: unknown): string {
  return typeof value === "string" ? clip(value) : "";
}

function clip(message: string): string {
  return message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}…` : message;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
