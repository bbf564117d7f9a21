import { createHash } from "node:crypto";
import { z } from "zod";
import { ExpiringLru } from "./expiring-lru.ts";
import { type Rate, TokenBucket } from "./rate-limit.ts";

/** Sends a POST to the API server and gives the answer's body, parsed. Rejects for anything but a 2xx, within seconds. */
export type Post = (path: string, body: object) => Promise<unknown>;

/** The part of the Kubernetes transport that reviews need. */
export interface PostTransport {
  request(
    method: "POST",
    path: string,
    options: {
      body: unknown;
      idempotent: boolean;
      retries: number;
      timeoutMs: number;
      signal: AbortSignal;
      verb: string;
    },
  ): Promise<unknown>;
}

const reviewTimeoutMs = 5_000;

/** Reviews over the Kubernetes transport. They change nothing, so that they may be sent twice. */
export function postOver(transport: PostTransport): Post {
  return (path, body) =>
    transport.request("POST", path, {
      body,
      idempotent: true,
      retries: 1,
      timeoutMs: reviewTimeoutMs,
      verb: "create",
      // The time-out of an attempt does not count waiting for a connection.
      signal: AbortSignal.timeout(2 * reviewTimeoutMs),
    });
}

/** Who calls, as the API server says. */
export interface Caller {
  readonly username: string;
  readonly uid: string | undefined;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>> | undefined;
  /** Stands for the token in caches; the token cannot be told from it. */
  readonly tokenHash: string;
}

/** `unavailable` and `busy` are no answers: nobody gets in. */
export type Authentication =
  | { readonly outcome: "caller"; readonly caller: Caller }
  | { readonly outcome: "unauthenticated" | "unavailable" | "busy" };

export type Authorization = "allowed" | "denied" | "unavailable" | "busy";

/** What somebody wants to do, in the words of a SubjectAccessReview. */
export type Attributes =
  | {
      readonly resourceAttributes: {
        readonly verb: string;
        readonly group: string;
        readonly version: string;
        readonly resource: string;
        readonly namespace?: string;
        readonly name: string;
      };
    }
  | { readonly nonResourceAttributes: { readonly verb: string; readonly path: string } };

export interface ReviewsOptions {
  readonly post: Post;
  readonly monotonicMs: () => number;
  /** The audience that tokens must be meant for. Absent: the API server's own. */
  readonly audience?: string | undefined;
  /** How long a yes is believed; at most 60 s. Default 60 s. */
  readonly positiveMs?: number;
  /** How long a no is believed. Default 5 s. */
  readonly negativeMs?: number;
  /** Answers remembered, of each kind. Default 1,000. */
  readonly remembered?: number;
  /** Reviews under way at once. Default 16. */
  readonly maxPending?: number;
  /** Reviews sent in all: strangers must not keep the API server from the operator. Default 50 a second, 200 at once. */
  readonly rate?: Rate;
  /** Told why a review failed, for the log. */
  readonly onFailure?: (error: unknown) => void;
}

const maxPositiveMs = 60_000;
const maxTokenLength = 8_192;
const tokenPattern = /^[A-Za-z0-9._~+/-]+=*$/;

const tokenReviewAnswer = z.object({
  status: z
    .object({
      authenticated: z.boolean().default(false),
      audiences: z.array(z.string()).default([]),
      user: z
        .object({
          username: z.string().default(""),
          uid: z.string().optional(),
          groups: z.array(z.string()).default([]),
          extra: z.record(z.string(), z.array(z.string())).optional(),
        })
        .optional(),
    })
    .prefault({}),
});

const accessReviewAnswer = z.object({
  status: z.object({ allowed: z.boolean(), denied: z.boolean().default(false) }),
});

/**
 * Who calls and what may they do: TokenReview and SubjectAccessReview, with a memory that forgets within a minute. Fails
 * closed: without a clear yes of the API server nobody gets in.
 */
export class Reviews {
  readonly #options: ReviewsOptions;
  readonly #callers: ExpiringLru<Caller>;
  // Apart from the callers, so that made-up tokens never push real ones out.
  readonly #strangers: ExpiringLru<true>;
  readonly #allowed: ExpiringLru<true>;
  readonly #denied: ExpiringLru<true>;
  readonly #pending = new Map<string, Promise<unknown>>();
  readonly #bucket: TokenBucket;

  constructor(options: ReviewsOptions) {
    const remembered = options.remembered ?? 1_000;
    this.#options = options;
    this.#callers = new ExpiringLru(remembered);
    this.#strangers = new ExpiringLru(remembered);
    this.#allowed = new ExpiringLru(remembered);
    this.#denied = new ExpiringLru(remembered);
    this.#bucket = new TokenBucket(options.rate ?? { perSecond: 50, burst: 200 }, options.monotonicMs());
  }

  /** @param authorization the value of the header `Authorization` */
  async authenticate(authorization: string | undefined): Promise<Authentication> {
    const token = bearerToken(authorization);
    if (token === undefined) return { outcome: "unauthenticated" };
    const tokenHash = createHash("sha256").update(token).digest("base64url");
    const nowMs = this.#options.monotonicMs();
    const known = this.#callers.get(tokenHash, nowMs);
    if (known !== undefined) return { outcome: "caller", caller: known };
    if (this.#strangers.get(tokenHash, nowMs)) return { outcome: "unauthenticated" };
    return this.#once(`token ${tokenHash}`, () => this.#reviewToken(token, tokenHash), {
      busy: { outcome: "busy" },
      failed: { outcome: "unavailable" },
    });
  }

  /** May the caller do this? */
  async authorize(caller: Caller, attributes: Attributes): Promise<Authorization> {
    const key = `${caller.tokenHash} ${JSON.stringify(attributes)}`;
    const nowMs = this.#options.monotonicMs();
    if (this.#allowed.get(key, nowMs)) return "allowed";
    if (this.#denied.get(key, nowMs)) return "denied";
    return this.#once(`access ${key}`, () => this.#reviewAccess(caller, attributes, key), {
      busy: "busy",
      failed: "unavailable",
    });
  }

  async #reviewToken(token: string, tokenHash: string): Promise<Authentication> {
    const { audience, post } = this.#options;
    const askedMs = this.#options.monotonicMs();
    const answer = tokenReviewAnswer.parse(
      await post("/apis/authentication.k8s.io/v1/tokenreviews", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token, ...(audience === undefined ? {} : { audiences: [audience] }) },
      }),
    );
    const { authenticated, audiences, user } = answer.status;
    // An API server that does not know audiences leaves them out: then the token is good for the API server alone.
    const meant = audience === undefined || audiences.includes(audience);
    const named = user !== undefined && user.username !== "" && user.username !== "system:anonymous";
    if (!authenticated || !meant || !named) {
      this.#strangers.set(tokenHash, true, askedMs + this.#negativeMs);
      return { outcome: "unauthenticated" };
    }
    const { username, uid, groups, extra } = user;
    const caller: Caller = { username, uid, groups, extra, tokenHash };
    this.#callers.set(tokenHash, caller, askedMs + this.#positiveMs);
    return { outcome: "caller", caller };
  }

  async #reviewAccess(caller: Caller, attributes: Attributes, key: string): Promise<Authorization> {
    const askedMs = this.#options.monotonicMs();
    const { username, uid, groups, extra } = caller;
    const answer = accessReviewAnswer.parse(
      await this.#options.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: { user: username, uid, groups, extra, ...attributes },
      }),
    );
    const allowed = answer.status.allowed && !answer.status.denied;
    if (allowed) this.#allowed.set(key, true, askedMs + this.#positiveMs);
    else this.#denied.set(key, true, askedMs + this.#negativeMs);
    return allowed ? "allowed" : "denied";
  }

  /** One review for all who ask the same at the same time, within the bounds on reviews in all. */
  async #once<T>(key: string, review: () => Promise<T>, instead: { busy: T; failed: T }): Promise<T> {
    const pending = this.#pending.get(key) as Promise<T> | undefined;
    if (pending !== undefined) return pending;
    if (this.#pending.size >= (this.#options.maxPending ?? 16)) return instead.busy;
    if (!this.#bucket.take(this.#options.monotonicMs())) return instead.busy;
    const started = review()
      .catch((error: unknown) => {
        this.#options.onFailure?.(error);
        return instead.failed;
      })
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, started);
    return started;
  }

  get #positiveMs(): number {
    return Math.min(this.#options.positiveMs ?? maxPositiveMs, maxPositiveMs);
  }

  get #negativeMs(): number {
    return this.#options.negativeMs ?? 5_000;
  }
}

/** What cannot be a token is refused without asking anybody. */
function bearerToken(authorization: string | undefined): string | undefined {
  const match = /^bearer +(\S+) *$/i.exec(authorization ?? "");
  const token = match?.[1];
  if (token === undefined || token.length > maxTokenLength || !tokenPattern.test(token)) return undefined;
  return token;
}
