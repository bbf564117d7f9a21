import { z } from "zod";
import { GROUP, label, VERSION } from "../api/common.ts";
import type { Attributes, Authentication, Authorization, Caller } from "./auth.ts";
import { problem } from "./errors.ts";
import { EXPLAINED, type Explained, type ExplainSource, explain } from "./explain.ts";
import { OutlookBudget } from "./outlook-budget.ts";
import { type Rate, RateLimiter } from "./rate-limit.ts";
import type { Result } from "./respond.ts";

/** What this process is at present. */
export type Standing =
  /** Not synchronised yet: of no use to anybody. */
  | { readonly role: "starting" }
  /** `leader`: the identity in the lease, if it is known. */
  | { readonly role: "standby"; readonly leader?: string | undefined }
  /** `open`: the term is open and decisions are made. */
  | { readonly role: "leader"; readonly open: boolean };

export interface EndpointOptions {
  readonly auth: {
    authenticate(authorization: string | undefined): Promise<Authentication>;
    authorize(caller: Caller, attributes: Attributes): Promise<Authorization>;
  };
  readonly metrics: { readonly contentType: string; scrape(): Promise<string> };
  /** False serves /metrics to everybody: on a loopback address alone. */
  readonly metricsAuth: boolean;
  readonly standing: () => Standing;
  /** The leader's broker; undefined on a standby and until the term is open. */
  readonly explain: () => ExplainSource | undefined;
  readonly clock: { nowMs(): number; monotonicMs(): number };
  /** Requests of one caller. Default 20 a second, 60 at once. */
  readonly callerRate?: Rate;
}

/** The parts of a request that an endpoint looks at. */
export interface Incoming {
  readonly authorization: string | undefined;
  readonly params: unknown;
  readonly query: unknown;
}

/** What is logged about an answer. None of it is a caller's free text. */
export interface Audit {
  user?: string;
  object?: string;
  /** The answer is that of something unknown; the log may know better. */
  access?: "denied";
}

export interface Endpoint {
  readonly path: string;
  readonly about: string;
  readonly handle: (incoming: Incoming, audit: Audit) => Result | Promise<Result>;
}

const paramsOf = {
  task: z.object({ namespace: label(), name: label() }),
  framework: z.object({ namespace: label(), name: label() }),
  queue: z.object({ namespace: z.undefined().optional(), name: label() }),
};
const explainQuery = z.strictObject({ format: z.enum(["json", "text"]).optional() });

/** Everything that can be asked for, the list of it included. */
export function endpoints(options: EndpointOptions): Endpoint[] {
  const guard = new Guard(options);
  const served: Endpoint[] = [
    { path: "/healthz", about: "Is the process alive?", handle: () => ({ json: { status: "ok" }, text: "ok\n" }) },
    { path: "/readyz", about: "Is it of use: does it lead, or stand by?", handle: () => readiness(options.standing()) },
    {
      path: "/metrics",
      about: "Metrics in Prometheus' text format. Needs a token that may `get` the non-resource URL /metrics.",
      handle: async (incoming, audit) => (await guard.metrics(incoming, audit)) ?? scrape(options.metrics),
    },
    ...explainEndpoint(options, guard, "task", "/explain/task/:namespace/:name"),
    ...explainEndpoint(options, guard, "framework", "/explain/framework/:namespace/:name"),
    ...explainEndpoint(options, guard, "queue", "/explain/queue/:name"),
  ];
  return [{ path: "/", about: "This list.", handle: () => directory(served) }, ...served];
}

function readiness(standing: Standing): Result {
  if (standing.role === "standby") return { json: { status: "standby" }, text: "standby\n" };
  if (standing.role === "leader" && standing.open) return { json: { status: "leader" }, text: "leader\n" };
  const detail = standing.role === "leader" ? "the term is being opened" : "the caches are being filled";
  return problem("not-ready", { detail });
}

async function scrape(metrics: EndpointOptions["metrics"]): Promise<Result> {
  return { raw: await metrics.scrape(), contentType: metrics.contentType };
}

function directory(served: readonly Endpoint[]): Result {
  const list = served.map(({ path, about }) => ({ path: path.replace(/:(\w+)/g, "{$1}"), about }));
  return { json: { paths: list }, text: list.map(({ path, about }) => `${path}\n    ${about}\n`).join("") };
}

function explainEndpoint(options: EndpointOptions, guard: Guard, kind: Explained, path: string): Endpoint[] {
  const budget = new OutlookBudget(options.clock);
  const handle = async (incoming: Incoming, audit: Audit): Promise<Result> => {
    const caller = await guard.caller(incoming, audit);
    if ("code" in caller) return caller;
    const params = paramsOf[kind].safeParse(incoming.params);
    if (!params.success) return problem("bad-request", { detail: "a name in the path is no DNS label" });
    if (!explainQuery.safeParse(incoming.query).success) {
      return problem("bad-request", { detail: "the only query parameter is format, json or text" });
    }
    const source = options.explain();
    if (source === undefined) return notLeading(options.standing());
    const { namespace, name } = params.data;
    audit.object = `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
    const resource = { verb: "get", group: GROUP, version: VERSION, resource: EXPLAINED[kind], name };
    const may = await options.auth.authorize(caller, {
      resourceAttributes: namespace === undefined ? resource : { ...resource, namespace },
    });
    if (may === "unavailable") return problem("auth-unavailable");
    if (may === "busy") return problem("auth-busy");
    // What does not exist and what the caller may not see look the same, so that nobody can find out what exists.
    if (may === "denied") {
      audit.access = "denied";
      return problem("not-found");
    }
    return explain(source, kind, { namespace, name }, options.clock.nowMs(), budget) ?? problem("not-found");
  };
  return [
    { path, about: `State of a ${kind}, and why it gets nothing more now. Needs the right to \`get\` it.`, handle },
  ];
}

function notLeading(standing: Standing): Result {
  if (standing.role === "standby") return problem("not-leader", { leader: standing.leader ?? "not known yet" });
  return problem("not-ready", {
    detail: standing.role === "leader" ? "the term is being opened" : "the caches are being filled",
  });
}

/** Who calls, and may they? Every answer but a clear yes is a problem. */
class Guard {
  readonly #options: EndpointOptions;
  readonly #rate: Rate;
  readonly #limiter: RateLimiter;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#rate = options.callerRate ?? { perSecond: 20, burst: 60 };
    this.#limiter = new RateLimiter(this.#rate);
  }

  async caller({ authorization }: Incoming, audit: Audit) {
    const { auth, clock } = this.#options;
    const authentication = await auth.authenticate(authorization);
    switch (authentication.outcome) {
      case "unavailable":
        return problem("auth-unavailable");
      case "busy":
        return problem("auth-busy");
      case "unauthenticated":
        return problem("unauthenticated");
      case "caller": {
        const { caller } = authentication;
        audit.user = caller.username;
        if (this.#limiter.take(caller.username, clock.monotonicMs())) return caller;
        return problem("too-many-requests", { perSecond: String(this.#rate.perSecond) });
      }
    }
  }

  /** What keeps the caller from the metrics, if anything. */
  async metrics(incoming: Incoming, audit: Audit) {
    const { auth, metricsAuth } = this.#options;
    if (!metricsAuth) return undefined;
    const caller = await this.caller(incoming, audit);
    if ("code" in caller) return caller;
    const may = await auth.authorize(caller, { nonResourceAttributes: { verb: "get", path: "/metrics" } });
    switch (may) {
      case "allowed":
        return undefined;
      case "denied":
        return problem("metrics-forbidden");
      case "unavailable":
        return problem("auth-unavailable");
      case "busy":
        return problem("auth-busy");
    }
  }
}
