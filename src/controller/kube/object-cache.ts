import { compareResourceVersions } from "./resource-version.ts";

export interface CacheEntry<T> {
  readonly uid: string;
  readonly resourceVersion: string;
  /** Undefined only in a cache that stores no objects. */
  readonly object: T | undefined;
}

/** An object as it is now; `previous` is what the cache held of the same UID. */
export interface Upsert<T> {
  readonly type: "upsert";
  readonly key: string;
  readonly uid: string;
  readonly object: T;
  readonly previous: T | undefined;
}

/** An object that is no more, as last known; undefined only if the cache stores no objects. */
export interface Delete<T> {
  readonly type: "delete";
  readonly key: string;
  readonly uid: string;
  readonly object: T | undefined;
}

/**
 * What a reflector knows: key → UID, resourceVersion, projection. It turns facts into changes: duplicates and old news
 * make none, and another UID under the same name is the end of one object and the start of another.
 */
export class ObjectCache<T> {
  readonly #entries = new Map<string, CacheEntry<T>>();
  readonly #storesObjects: boolean;
  readonly #emit: (change: Upsert<T> | Delete<T>) => void;

  constructor(storesObjects: boolean, emit: (change: Upsert<T> | Delete<T>) => void) {
    this.#storesObjects = storesObjects;
    this.#emit = emit;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): CacheEntry<T> | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[string, CacheEntry<T>]> {
    return this.#entries.entries();
  }

  /**
   * An ADDED or MODIFIED event. `passedVersion` is the version up to which the cache is complete: an unknown object
   * older than that has come and gone already.
   */
  upsert(key: string, uid: string, resourceVersion: string, object: T, passedVersion: string): void {
    const known = this.#entries.get(key);
    if (compareResourceVersions(resourceVersion, known?.resourceVersion ?? passedVersion) <= 0) return;
    this.#put(key, uid, resourceVersion, object, known);
  }

  /**
   * A DELETED event, or an object that left what we look at. An event about another UID also ends the known object if it
   * is newer: the name was free in between.
   */
  remove(key: string, resourceVersion: string): void {
    const known = this.#entries.get(key);
    if (known === undefined || compareResourceVersions(resourceVersion, known.resourceVersion) < 0) return;
    this.#drop(key, known);
  }

  /** Makes the cache equal to a consistent list, whatever it held: one change for each difference. */
  replaceAll(listed: ReadonlyMap<string, CacheEntry<T>>): void {
    for (const [key, known] of [...this.#entries]) if (!listed.has(key)) this.#drop(key, known);
    for (const [key, { uid, resourceVersion, object }] of listed) {
      const known = this.#entries.get(key);
      const unchanged = known?.uid === uid && known.resourceVersion === resourceVersion;
      if (unchanged || object === undefined) continue;
      this.#put(key, uid, resourceVersion, object, known);
    }
  }

  /** The versions are of a history that is no more: whatever comes next about an object is news. */
  forgetVersions(): void {
    for (const [key, known] of this.#entries) this.#entries.set(key, { ...known, resourceVersion: "" });
  }

  #put(key: string, uid: string, resourceVersion: string, object: T, known: CacheEntry<T> | undefined): void {
    if (known !== undefined && known.uid !== uid) this.#drop(key, known);
    this.#entries.set(key, { uid, resourceVersion, object: this.#storesObjects ? object : undefined });
    const previous = known?.uid === uid ? known.object : undefined;
    this.#emit({ type: "upsert", key, uid, object, previous });
  }

  #drop(key: string, known: CacheEntry<T>): void {
    this.#entries.delete(key);
    this.#emit({ type: "delete", key, uid: known.uid, object: known.object });
  }
}
