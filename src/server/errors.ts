/**
 * Every error of the HTTP interface. `{name}` in a message is filled in when it is given. The page of each is a section of
 * docs/reference/http.md.
 */
export const ERRORS = {
  "bad-request": { status: 400, message: "The request cannot be read: {detail}." },
  "token-in-query": {
    status: 400,
    message:
      "A token was put into the URL, where it ends up in logs. Send it in the header `Authorization: Bearer …`, and " +
      "treat this one as known to others.",
  },
  unauthenticated: {
    status: 401,
    message: "A valid bearer token is needed: send the header `Authorization: Bearer …`.",
  },
  "metrics-forbidden": {
    status: 403,
    message: "You may not read the metrics: you need the right to `get` the non-resource URL /metrics.",
  },
  "not-found": { status: 404, message: "There is no such thing here, or you may not see it." },
  "method-not-allowed": { status: 405, message: "Only GET is possible here." },
  "request-timeout": { status: 408, message: "The request did not arrive in time." },
  "body-too-large": { status: 413, message: "No request here takes a body." },
  "too-many-requests": { status: 429, message: "You ask more often than {perSecond} times a second." },
  "headers-too-large": { status: 431, message: "The request's headers are too large." },
  internal: { status: 500, message: "Something went wrong here. The operator's log says what." },
  "auth-unavailable": {
    status: 503,
    message: "The API server could not be asked who you are and what you may do. Try again.",
  },
  "auth-busy": {
    status: 503,
    message: "Too many callers are being checked at present. Try again in a second.",
  },
  "not-leader": {
    status: 503,
    message: "This operator stands by and knows nothing of the present decisions. The leader is {leader}: ask there.",
  },
  "not-ready": { status: 503, message: "Not ready: {detail}." },
} as const satisfies Record<string, { readonly status: number; readonly message: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error as a value: a caller's mistake or a state of affairs, never a bug. */
export interface Problem {
  readonly code: ErrorCode;
  readonly status: number;
  readonly message: string;
  /** Where it is explained, from the repository's root. */
  readonly page: string;
  readonly headers: Readonly<Record<string, string>>;
}

const headersOf: Partial<Record<ErrorCode, Readonly<Record<string, string>>>> = {
  unauthenticated: { "www-authenticate": 'Bearer realm="proffer"' },
  "method-not-allowed": { allow: "GET" },
  "too-many-requests": { "retry-after": "1" },
  "auth-unavailable": { "retry-after": "5" },
  "auth-busy": { "retry-after": "1" },
  "not-leader": { "retry-after": "5" },
};

/** The page that explains a code. */
const pageOf = (code: ErrorCode): string => `docs/reference/http.md#${code}`;

/** An error of the table with its message filled in. `values` must hold nothing secret: they are shown and logged. */
export function problem(code: ErrorCode, values: Readonly<Record<string, string>> = {}): Problem {
  const { status, message } = ERRORS[code];
  const filled = message.replace(/\{(\w+)\}/g, (placeholder, name: string) => values[name] ?? placeholder);
  return { code, status, message: filled, page: pageOf(code), headers: headersOf[code] ?? {} };
}
