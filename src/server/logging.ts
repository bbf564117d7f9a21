import { type DestinationStream, type Logger, pino } from "pino";
import { printable } from "./printable.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggingOptions {
  readonly level: LogLevel;
  /** Wall-clock time. */
  readonly nowMs: () => number;
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

const secretFields = ["authorization", "token", "password", "secret", "cookie"];
// A field at any of these depths; a token that hides elsewhere is caught in the finished line.
const redactedPaths = ["", "*.", "*.*.", "*.*.*."].flatMap((prefix) =>
  secretFields.flatMap((field) => [`${prefix}${field}`, `${prefix}${field[0]?.toUpperCase()}${field.slice(1)}`]),
);

const bearer = /\b(bearer|basic)(\s+|%20)[A-Za-z0-9._~+/-]+=*/gi;
// Three parts, as of a ServiceAccount's token. It begins at the edge of a word, so that the search is linear.
const jsonWebToken = /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/g;

/**
 * The program's log: one JSON line an event, in whose text nothing moves the cursor or ends the line, and in which there
 * are no tokens. The object comes first, then the message: `log.warn({ err, key }, "status not written")`.
 */
export function createLogger({ level, nowMs, destination }: LoggingOptions): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: "msg",
      errorKey: "err",
      timestamp: () => `,"time":"${new Date(nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
      redact: { paths: redactedPaths, censor: "[redacted]" },
      hooks: { streamWrite: safeLine },
      depthLimit: 6,
      edgeLimit: 100,
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** The last look at a finished line, its line feed included. */
function safeLine(line: string): string {
  return printable(line.replace(bearer, "$1 [redacted]").replace(jsonWebToken, "[redacted]"));
}

const maxText = 2_000;

/** Of an error only what is known to be harmless: libraries hang requests, headers and bodies on theirs. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error).slice(0, maxText) };
  const { name, message, stack, cause } = error;
  const { code, status, reason } = error as Error & Record<string, unknown>;
  const plain = (value: unknown) => (typeof value === "string" || typeof value === "number" ? value : undefined);
  return {
    type: name,
    message: message.slice(0, maxText),
    code: plain(code),
    status: plain(status),
    reason: plain(reason),
    stack: stack?.slice(0, 4 * maxText),
    cause: cause instanceof Error ? `${cause.name}: ${cause.message}`.slice(0, maxText) : undefined,
  };
}
