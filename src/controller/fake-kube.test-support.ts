import { ApiError, TransportError } from "./kube/api-error.ts";
import { KubeClient, type KubeObject } from "./kube/client.ts";
import type { Method, RequestOptions, StreamRequestOptions, Transport } from "./kube/transport.ts";

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, unknown>>;
  /** As sent: JSON text, to compare bodies byte by byte. */
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every kind
  readonly body: any;
}

/** Throw it to fail a request; `applied`: the server did what was asked, and the answer got lost. */
export interface Fault {
  readonly error: Error;
  readonly applied?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind
type Stored = any;

interface Location {
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

interface Watcher {
  readonly plural: string;
  muted: boolean;
  readonly send: (type: string, object: object) => void;
}

/** An API server in memory, without HTTP: resourceVersions, UIDs, conflicts, preconditions, watches. */
export class FakeKube implements Transport {
  readonly requests: FakeRequest[] = [];
  /** Asked before every request. */
  fault: (request: FakeRequest) => Fault | undefined = () => undefined;
  /** Changes objects as webhooks do. */
  admit: (object: Stored) => void = () => {};
  readonly #objects = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  #version = 100;
  #uids = 0;

  readonly client = new KubeClient(this, "proffer");

  get version(): string {
    return String(this.#version);
  }

  async request(method: Method, path: string, options: RequestOptions = {}): Promise<unknown> {
    await Promise.resolve();
    if (options.fence?.() === false) throw new TransportError("fenced", "not the leader", false, false);
    const text = options.body === undefined ? "" : JSON.stringify(options.body);
    const body = text === "" ? undefined : JSON.parse(text);
    const request: FakeRequest = { method, path, query: { ...options.query }, text, body };
    this.requests.push(request);
    const fault = this.fault(request);
    if (fault !== undefined && !fault.applied) throw fault.error;
    const answer = this.#serve(request);
    if (fault !== undefined) throw fault.error;
    return answer === undefined ? undefined : structuredClone(answer);
  }

  /** The first request of this method is carried out, and nobody gets its answer. */
  loseFirstAnswer(method: string): void {
    let isFirst = true;
    this.fault = (request) => {
      if (request.method !== method || !isFirst) return undefined;
      isFirst = false;
      return { error: lost(), applied: true };
    };
  }

  async stream(path: string, options: StreamRequestOptions): Promise<void> {
    const { plural } = locate(path);
    if (options.verb === "list") {
      const list = await this.request("GET", path, { query: options.query });
      if (!options.signal.aborted) options.onData(Buffer.from(JSON.stringify(list)), "application/json");
      return;
    }
    const send = (type: string, object: object): void => {
      options.onData(Buffer.from(`${JSON.stringify({ type, object })}\n`), "application/json");
    };
    return new Promise((_resolve, reject) => {
      const watcher = { plural, send, muted: false };
      options.signal.addEventListener("abort", () => {
        this.#watchers.delete(watcher);
        reject(new TransportError("aborted", "by the caller", true, false));
      });
      void Promise.resolve().then(() => {
        if (options.signal.aborted) return;
        if (options.query.sendInitialEvents) {
          for (const object of this.all(plural)) send("ADDED", object);
          const annotations = { "k8s.io/initial-events-end": "true" };
          send("BOOKMARK", { metadata: { resourceVersion: this.version, annotations } });
        }
        this.#watchers.add(watcher);
      });
    });
  }

  onReachable(): () => void {
    return () => {};
  }

  /** Creates or replaces as somebody else would, and tells those who watch. */
  put(plural: string, object: Stored): Stored {
    const key = `${plural}/${object.metadata.namespace ?? ""}/${object.metadata.name}`;
    const known = this.#objects.get(key);
    const same = known !== undefined && (object.metadata.uid ?? known.metadata.uid) === known.metadata.uid;
    if (known !== undefined && !same) this.remove(plural, known);
    const stored = structuredClone(object);
    stored.metadata.uid ??= same ? known.metadata.uid : `uid-${++this.#uids}`;
    stored.metadata.creationTimestamp ??= "2026-01-01T00:00:00Z";
    stored.metadata.generation ??= 1;
    stored.metadata.resourceVersion = String(++this.#version);
    this.#objects.set(key, stored);
    this.#tell(plural, same ? "MODIFIED" : "ADDED", stored);
    return structuredClone(stored);
  }

  remove(plural: string, object: Stored): void {
    const key = `${plural}/${object.metadata.namespace ?? ""}/${object.metadata.name}`;
    const known = this.#objects.get(key);
    if (known === undefined) return;
    this.#objects.delete(key);
    known.metadata.resourceVersion = String(++this.#version);
    this.#tell(plural, "DELETED", known);
  }

  get(plural: string, namespace: string, name: string): Stored {
    return structuredClone(this.#objects.get(`${plural}/${namespace}/${name}`));
  }

  all(plural: string): Stored[] {
    return [...this.#objects].filter(([key]) => key.startsWith(`${plural}/`)).map(([, object]) => object);
  }

  /** Watches that are open now show nothing any more; those opened later do. */
  mute(): void {
    for (const watcher of this.#watchers) watcher.muted = true;
  }

  /**
   * Makes a backup; the function that is returned restores it: objects and versions are what they were, and watches that
   * are open wait for versions that have come before.
   */
  backup(): () => void {
    const [objects, version] = [structuredClone([...this.#objects]), this.#version];
    return () => {
      this.mute();
      this.#objects.clear();
      for (const [key, object] of objects) this.#objects.set(key, structuredClone(object));
      this.#version = version;
    };
  }

  /** Requests that change something. */
  get writes(): FakeRequest[] {
    return this.requests.filter(({ method, query }) => method !== "GET" && query.dryRun === undefined);
  }

  #tell(plural: string, type: string, object: Stored): void {
    for (const watcher of this.#watchers) {
      if (watcher.plural === plural && !watcher.muted) watcher.send(type, structuredClone(object));
    }
  }

  #serve(request: FakeRequest): unknown {
    const location = locate(request.path);
    switch (request.method) {
      case "GET":
        return location.name === undefined ? this.#list(location, request) : this.#read(location);
      case "POST":
        return this.#create(location, request);
      case "PUT":
        return this.#replace(location, request);
      case "PATCH":
        return this.#patch(location, request);
      default:
        return this.#delete(location, request);
    }
  }

  #list({ plural }: Location, { query }: FakeRequest): object {
    const all = this.all(plural);
    const from = Number(query.continue ?? 0);
    const to = from + Number(query.limit ?? all.length);
    const token = to < all.length ? { continue: String(to) } : {};
    return { metadata: { resourceVersion: this.version, ...token }, items: all.slice(from, to) };
  }

  #read({ plural, namespace, name }: Location): Stored {
    const object = this.#objects.get(`${plural}/${namespace ?? ""}/${name}`);
    if (object === undefined) throw status(404, "NotFound", `${plural} "${name}" not found`);
    return object;
  }

  #create(location: Location, { body, query }: FakeRequest): Stored {
    const { plural, namespace } = location;
    const metadata = { ...body.metadata, ...(namespace && { namespace }) };
    if (this.#objects.has(`${plural}/${namespace ?? ""}/${metadata.name}`)) {
      throw status(409, "AlreadyExists", `${plural} "${metadata.name}" already exists`);
    }
    const object = { ...body, metadata };
    this.admit(object);
    return query.dryRun === undefined ? this.put(plural, object) : object;
  }

  #replace(location: Location, { body }: FakeRequest): Stored {
    const known = this.#read(location);
    guard(known, body.metadata);
    const object = location.subresource === "status" ? { ...known, status: body.status } : body;
    return this.put(location.plural, { ...object, metadata: { ...known.metadata } });
  }

  #patch(location: Location, { body }: FakeRequest): Stored {
    const known = this.#read(location);
    guard(known, body.metadata);
    const { resourceVersion: _version, ...metadata } = body.metadata ?? {};
    const merged = { ...known, ...body, metadata: merge(known.metadata, metadata) };
    if (merged.metadata.deletionTimestamp && !merged.metadata.finalizers?.length) this.remove(location.plural, known);
    else this.put(location.plural, merged);
    return merged;
  }

  #delete(location: Location, { body }: FakeRequest): Stored {
    const known = this.#read(location);
    guard(known, body?.preconditions ?? {});
    if (known.metadata.finalizers?.length) {
      const metadata = { ...known.metadata, deletionTimestamp: "2026-01-01T00:01:00Z" };
      return this.put(location.plural, { ...known, metadata });
    }
    this.remove(location.plural, known);
    return known;
  }
}

function guard(known: KubeObject, claimed: { uid?: string; resourceVersion?: string } = {}): void {
  const { uid, resourceVersion } = known.metadata;
  const stale = claimed.resourceVersion !== undefined && claimed.resourceVersion !== resourceVersion;
  if (stale || (claimed.uid !== undefined && claimed.uid !== uid)) {
    throw status(409, "Conflict", "the object has been modified");
  }
}

function merge(known: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const out = { ...known };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = value;
  }
  return out;
}

function locate(path: string): Location {
  const parts = path.split("/").slice(path.startsWith("/api/") ? 3 : 4);
  const namespaced = parts[0] === "namespaces" && parts.length > 2;
  const [plural = "", name, subresource] = namespaced ? parts.slice(2) : parts;
  return { plural, namespace: namespaced ? parts[1] : undefined, name, subresource };
}

export function status(code: number, reason: string, message = ""): ApiError {
  return new ApiError({ status: code, reason, message });
}

/** Nobody knows what became of the request. */
export function lost(): TransportError {
  return new TransportError("timeout", "no answer in time", true, true);
}
