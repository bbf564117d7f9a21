/** A small client of the API server for tests and tools: JSON in, JSON out, one pool of connections. */
import { Agent } from "undici";

export interface ApiClientOptions {
  readonly url: string;
  /** PEM; absent: the system's authorities. */
  readonly ca?: string;
  readonly token?: string;
  /** Asked before every request, where credentials are renewed by somebody else; goes before `token`. */
  readonly authorization?: () => Promise<string | undefined>;
  /** PEM of a client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** Trusts whatever server answers; for kubeconfigs that say so. */
  readonly insecure?: boolean;
  /** At most so many connections. Default 32. */
  readonly connections?: number;
}

/** An answer of the API server with a status of 400 or more. */
export class ApiError extends Error {
  readonly status: number;
  /** The reason of the Status object, such as `AlreadyExists`. */
  readonly reason: string;

  constructor(request: string, status: number, reason: string, message: string) {
    super(`${request}: ${status} ${reason}: ${message}`);
    this.status = status;
    this.reason = reason;
  }
}

/** What comes back is whatever the API server says: plain JSON objects. */
// biome-ignore lint/suspicious/noExplicitAny: tests reach into objects of every kind; types would be casts on every line
export type Json = any;

const CONTENT_TYPES = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export type PatchType = keyof typeof CONTENT_TYPES;

export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #agent: Agent;

  constructor(options: ApiClientOptions) {
    this.#options = options;
    const { ca, cert, key, insecure } = options;
    this.#agent = new Agent({
      connections: options.connections ?? 32,
      // undici 8 speaks HTTP/2 where it can. Over it a killed server becomes an error that nobody can catch, and requests
      // are slower than over connections of their own.
      allowH2: false,
      connect: {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(insecure === true ? { rejectUnauthorized: false } : {}),
      },
    });
  }

  /** Reads an object or a list; `path` begins with `/api` or `/apis`. */
  get(path: string): Promise<Json> {
    return this.request("GET", path);
  }

  /** Creates an object in the collection at `path`. */
  create(path: string, object: Json): Promise<Json> {
    return this.request("POST", path, object);
  }

  /** Writes an object as a whole. */
  replace(path: string, object: Json): Promise<Json> {
    return this.request("PUT", path, object);
  }

  /** Patches an object; a merge-patch unless said otherwise. Server-side apply uses the field manager `cluster-tool`. */
  patch(path: string, patch: Json, type: PatchType = "merge"): Promise<Json> {
    const target = type === "apply" ? `${path}?fieldManager=cluster-tool&force=true` : path;
    return this.request("PATCH", target, patch, CONTENT_TYPES[type]);
  }

  /** Deletes an object; `options` are DeleteOptions, such as `{ gracePeriodSeconds: 0 }`. */
  delete(path: string, options: Json = {}): Promise<Json> {
    return this.request("DELETE", path, options);
  }

  /** Sends any request and returns the parsed answer, or its text when it is no JSON. Throws {@link ApiError}. */
  async request(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    body?: Json,
    contentType = "application/json",
  ): Promise<Json> {
    const { token, url } = this.#options;
    const { origin, pathname } = new URL(url);
    const authorization =
      (await this.#options.authorization?.()) ?? (token === undefined ? undefined : `Bearer ${token}`);
    const response = await this.#agent.request({
      origin,
      // Some clusters are served under a path.
      path: pathname.replace(/\/$/, "") + path,
      method,
      headers: {
        accept: "application/json",
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { "content-type": contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const value = parse(text);
    if (response.statusCode >= 400) {
      throw new ApiError(`${method} ${path}`, response.statusCode, value?.reason ?? "", value?.message ?? text.trim());
    }
    return value;
  }

  /** The object, or undefined when there is none. */
  async find(path: string): Promise<Json | undefined> {
    try {
      return await this.get(path);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Closes all connections; what is under way fails. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
