import type { Post } from "./auth.ts";

export interface FakeUser {
  readonly username: string;
  readonly groups?: readonly string[];
  /** Audiences the token is good for. Default: the API server's own. */
  readonly audiences?: readonly string[];
}

export interface SentReview {
  readonly path: string;
  readonly spec: Record<string, unknown>;
}

/** Answers reviews as an API server does: tokens and rights are data. */
export class FakeApi {
  readonly users = new Map<string, FakeUser>();
  /** "user verb resource namespace/name" or "user verb /path". */
  readonly rights = new Set<string>();
  readonly sent: SentReview[] = [];
  /** Instead of an answer. */
  instead: (() => Promise<unknown>) | undefined;

  readonly post: Post = async (path, body) => {
    const spec = (body as { spec: Record<string, unknown> }).spec;
    this.sent.push({ path, spec });
    if (this.instead !== undefined) return this.instead();
    return path.endsWith("/tokenreviews") ? this.#reviewToken(spec) : this.#reviewAccess(spec);
  };

  get tokenReviews(): readonly SentReview[] {
    return this.sent.filter(({ path }) => path === "/apis/authentication.k8s.io/v1/tokenreviews");
  }

  get accessReviews(): readonly SentReview[] {
    return this.sent.filter(({ path }) => path === "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  }

  #reviewToken(spec: Record<string, unknown>): unknown {
    const user = this.users.get(spec.token as string);
    const own = user?.audiences ?? ["https://kubernetes.default.svc"];
    const wanted = (spec.audiences as string[] | undefined) ?? ["https://kubernetes.default.svc"];
    const audiences = own.filter((audience) => wanted.includes(audience));
    if (user === undefined || audiences.length === 0) return { status: { error: "invalid bearer token" } };
    const { username, groups = ["system:authenticated"] } = user;
    return { status: { authenticated: true, audiences, user: { username, uid: `uid of ${username}`, groups } } };
  }

  #reviewAccess(spec: Record<string, unknown>): unknown {
    const resource = spec.resourceAttributes as Record<string, string> | undefined;
    const url = spec.nonResourceAttributes as Record<string, string> | undefined;
    const what = resource
      ? `${resource.verb} ${resource.resource} ${resource.namespace === undefined ? "" : `${resource.namespace}/`}${resource.name}`
      : `${url?.verb} ${url?.path}`;
    return { status: { allowed: this.rights.has(`${spec.user} ${what}`) } };
  }
}
