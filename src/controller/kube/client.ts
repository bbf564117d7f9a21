import { isNotFound } from "./api-error.ts";
import type { Query, RequestOptions, Transport } from "./transport.ts";

/** Any Kubernetes object as it comes. Items of lists lack `apiVersion` and `kind`. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** A kind of object; `group` is "" for the core. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

export interface ResourceRef extends ResourceType {
  /** Absent: cluster-wide. */
  readonly namespace?: string | undefined;
  /** Absent: the collection. */
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

export interface ObjectList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

export interface DeleteOptions extends RequestOptions {
  /** Delete this object alone, never another one of the same name. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

/** `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE`, each part as far as given. */
export function resourcePath(ref: ResourceRef): string {
  const base = ref.group === "" ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  const namespace = ref.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(ref.namespace)}`;
  const name = ref.name === undefined ? "" : `/${encodeURIComponent(ref.name)}`;
  const subresource = ref.subresource === undefined ? "" : `/${ref.subresource}`;
  return `${base}${namespace}/${ref.plural}${name}${subresource}`;
}

/**
 * The verbs of the API, each one request (see `Transport.request` for options, retries and errors). Objects are plain
 * JSON, taken and given as they are: nothing is dropped, so read-modify-write is safe for fields we do not know.
 */
export class KubeClient {
  readonly #transport: Transport;
  readonly #fieldManager: string;

  constructor(transport: Transport, fieldManager: string) {
    this.#transport = transport;
    this.#fieldManager = fieldManager;
  }

  async get(ref: ResourceRef, options?: RequestOptions): Promise<KubeObject> {
    return (await this.#transport.request("GET", resourcePath(ref), {
      ...labels("get", ref),
      ...options,
    })) as KubeObject;
  }

  /** `get`, with absence as a value. */
  async find(ref: ResourceRef, options?: RequestOptions): Promise<KubeObject | undefined> {
    try {
      return await this.get(ref, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** One page: `query` holds selectors, `limit` and `continue`. Without a resourceVersion it is a consistent read. */
  async list(ref: ResourceRef, options?: RequestOptions): Promise<ObjectList> {
    return (await this.#transport.request("GET", resourcePath(ref), {
      ...labels("list", ref),
      ...options,
    })) as ObjectList;
  }

  /**
   * POST to the collection of `ref` (or to a subresource of a named object). Flag it `idempotent` if the name is
   * deterministic; then a 409 AlreadyExists may be our own earlier attempt.
   */
  async create(ref: ResourceRef, object: object, options?: RequestOptions): Promise<KubeObject> {
    const query = this.#managed(options?.query);
    const all = { ...labels("create", ref), ...options, query, body: object };
    return (await this.#transport.request("POST", resourcePath(ref), all)) as KubeObject;
  }

  /** What a create would make (defaults, LimitRange, webhooks), without making it. */
  createDryRun(ref: ResourceRef, object: object, options?: RequestOptions): Promise<KubeObject> {
    return this.create(ref, object, { idempotent: true, ...options, query: { ...options?.query, dryRun: "All" } });
  }

  /** PUT; the object's resourceVersion, if any, must still be current (409 Conflict). */
  async replace(ref: ResourceRef, object: object, options?: RequestOptions): Promise<KubeObject> {
    const query = this.#managed(options?.query);
    const all = { ...labels("update", ref), ...options, query, body: object };
    return (await this.#transport.request("PUT", resourcePath(ref), all)) as KubeObject;
  }

  /** A JSON merge patch: null removes a field, a list replaces the whole list. */
  mergePatch(ref: ResourceRef, patch: object, options?: RequestOptions): Promise<KubeObject> {
    return this.#patch(ref, patch, "application/merge-patch+json", "patch", this.#managed(options?.query), options);
  }

  /** Server-side apply under our field manager, taking fields over from others: the object needs apiVersion and kind. */
  apply(ref: ResourceRef, object: object, options?: RequestOptions): Promise<KubeObject> {
    const query = { force: true, ...this.#managed(options?.query) };
    return this.#patch(ref, object, "application/apply-patch+yaml", "apply", query, options);
  }

  /** @returns the object as it is being deleted, or a Status object */
  async delete(ref: ResourceRef, options: DeleteOptions = {}): Promise<KubeObject | undefined> {
    const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy, ...rest } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions, gracePeriodSeconds, propagationPolicy };
    const all = { ...labels("delete", ref), ...rest, body };
    return (await this.#transport.request("DELETE", resourcePath(ref), all)) as KubeObject | undefined;
  }

  async #patch(
    ref: ResourceRef,
    body: object,
    contentType: string,
    verb: string,
    query: Query,
    options?: RequestOptions,
  ): Promise<KubeObject> {
    const all = { ...labels(verb, ref), ...options, query, body, contentType };
    return (await this.#transport.request("PATCH", resourcePath(ref), all)) as KubeObject;
  }

  /** Warnings about unknown fields go to people; looking for them costs the API server a stricter parser. */
  #managed(query: Query | undefined): Query {
    return { fieldManager: this.#fieldManager, fieldValidation: "Ignore", ...query };
  }
}

function labels(verb: string, ref: ResourceRef): { verb: string; resource: string } {
  return { verb, resource: ref.subresource === undefined ? ref.plural : `${ref.plural}/${ref.subresource}` };
}
