import { isNotFound, isStatus } from "../../controller/kube/api-error.ts";
import { resourcePath } from "../../controller/kube/client.ts";
import { sleep } from "../../controller/kube/clock.ts";
import type { RawAnswer } from "../../controller/kube/transport.ts";
import { PROXIED_AUTHORIZATION } from "../../server/proxied.ts";
import type { Session } from "../connection.ts";
import { sentenceOf } from "../errors.ts";

/** What came of asking the operator. `unreachable` and `refused` say why, as the rest of a sentence. */
export type OperatorAnswer =
  | { readonly outcome: "answer"; readonly text: string }
  /** There is no such object, or the caller may not see it. */
  | { readonly outcome: "not-found" }
  | { readonly outcome: "unreachable"; readonly why: string };

/** Where the chart says which Service is the operator's: administrators alone write there. */
const directory = { group: "", version: "v1", plural: "configmaps", namespace: "kube-public", name: "proffer" };

/** Each request goes to any of the operator's pods, and the leader alone answers: with five pods, one of 64 finds it. */
const attempts = 64;
/** A leader that opens its term, and a busy one, answer within seconds. */
const patienceMs = 10_000;
const pauseMs = 500;

/** Answers that come of which pod was asked, or when. */
const ofAnotherPod: ReadonlySet<string> = new Set(["not-leader"]);
const ofThisMoment: ReadonlySet<string> = new Set(["not-ready", "auth-busy", "auth-unavailable", "too-many-requests"]);

/**
 * Asks the operator's leader for `path` through the API server's proxy. That proxy takes the header `Authorization` off, so
 * the token goes along in another one; who has none cannot ask.
 */
export async function askOperator(session: Session, path: string, format: "json" | "text"): Promise<OperatorAnswer> {
  const service = await serviceOf(session);
  if (typeof service === "string") return { outcome: "unreachable", why: service };
  const giveUpMs = session.clock.monotonicMs() + patienceMs;
  let last = "";
  for (let attempt = 0; attempt < attempts; attempt++) {
    const answer = await ask(session, `${service.path}${path}`, format);
    if (typeof answer === "string") return { outcome: "unreachable", why: answer };
    if (answer.status === 200) return { outcome: "answer", text: answer.text };
    const { code, message } = problemOf(answer);
    if (code === "not-found") return { outcome: "not-found" };
    if (code === "unauthenticated") return { outcome: "unreachable", why: "it does not take your token" };
    last = message;
    if (ofThisMoment.has(code) && session.clock.monotonicMs() < giveUpMs) await sleep(session.clock, pauseMs);
    else if (!ofAnotherPod.has(code)) return { outcome: "unreachable", why: message };
  }
  return { outcome: "unreachable", why: last };
}

async function serviceOf({ client }: Session): Promise<{ readonly path: string } | string> {
  try {
    const { data } = await client.get(directory);
    const { namespace, service, port } = data as Record<string, string>;
    const name = `http:${service}:${port}`;
    return {
      path: resourcePath({ group: "", version: "v1", plural: "services", namespace, name, subresource: "proxy" }),
    };
  } catch (error) {
    if (!isNotFound(error) && !isStatus(error, 403)) throw error;
    return "the chart says nowhere how to reach it (its value http.throughApiServer)";
  }
}

async function ask({ transport }: Session, path: string, format: string): Promise<RawAnswer | string> {
  let hasToken = false;
  const headers = ({ authorization }: Readonly<Record<string, string>>): Record<string, string> => {
    hasToken = /^bearer /i.test(authorization ?? "");
    return hasToken ? { [PROXIED_AUTHORIZATION]: authorization! } : {};
  };
  try {
    const answer = await transport.raw(path, { query: { format }, headers });
    if (!hasToken) return "it asks for a token, and your credentials have none";
    return answer;
  } catch (error) {
    return sentenceOf(error);
  }
}

/** The operator's own errors have a code; those of the API server are Status objects, or anything. */
function problemOf({ status, text }: RawAnswer): { readonly code: string; readonly message: string } {
  let body: { code?: unknown; message?: unknown } = {};
  try {
    body = (JSON.parse(text) as typeof body | null) ?? {};
  } catch {
    // As text, the operator says `code: message` in its first line.
    const [, code = "", message = ""] = /^([a-z-]+): (.+)/.exec(text) ?? [];
    if (code !== "") body = { code, message };
  }
  const { code, message } = body;
  return {
    code: typeof code === "string" ? code : "",
    message: typeof message === "string" && message !== "" ? message : `it was answered with status ${status}`,
  };
}
