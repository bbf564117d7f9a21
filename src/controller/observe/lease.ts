import { FRAMEWORK_LABEL } from "../../api/labels.ts";
import type { LeaseFacts } from "../../offers/program-facts.ts";
import { number, record, text, timeMs } from "./json.ts";
import { metaOf } from "./meta.ts";

/** A Lease by which a framework's program says that it is there. */
export interface ObservedLease {
  /** "namespace/name" */
  readonly key: string;
  readonly uid: string;
  /** "namespace/name" */
  readonly framework: string;
  /** As it stands: every renewal makes another text. */
  readonly renewTime: string;
  /** The same by the clock of who renewed it. */
  readonly renewTimeMs: number;
  readonly durationMs: number;
  /** It has no holder: given back. */
  readonly released: boolean;
}

const defaultDurationSeconds = 30;
const longestDurationSeconds = 86_400;

/** A Lease as it comes → who shows life by it; undefined for one that names no framework or was never renewed. */
export function projectLease(object: unknown, intern = (text: string) => text): ObservedLease | undefined {
  const { key, namespace, uid } = metaOf(object);
  const name = text(record(record(object, "metadata"), "labels"), FRAMEWORK_LABEL);
  const spec = record(object, "spec");
  const [renewTime, renewTimeMs] = [text(spec, "renewTime"), timeMs(spec, "renewTime")];
  if (!name || namespace === undefined || renewTime === undefined || renewTimeMs === undefined) return undefined;
  const seconds = number(spec, "leaseDurationSeconds") ?? defaultDurationSeconds;
  return {
    key,
    uid,
    framework: intern(`${namespace}/${name}`),
    renewTime,
    renewTimeMs,
    durationMs: Math.min(Math.max(seconds, 1), longestDurationSeconds) * 1000,
    released: !text(spec, "holderIdentity"),
  };
}

/**
 * When Leases were renewed, by our clock. Like client-go's leader election, it counts from when a change was seen, so that
 * a program's clock may be wrong. Where no change was seen, because the Lease was there before us, its own time counts; but
 * not one that lies ahead.
 */
export class Sightings {
  readonly #sightings = new Map<string, { readonly uid: string; readonly renewTime: string; readonly atMs: number }>();

  /** @param isNews false for what was there before anybody could have seen it change */
  factsOf(lease: ObservedLease, nowMs: number, isNews: boolean): LeaseFacts {
    const { key, uid, framework, renewTime, renewTimeMs, durationMs, released } = lease;
    const known = this.#sightings.get(key);
    let renewedAtMs = isNews ? nowMs : Math.min(renewTimeMs, nowMs);
    if (known?.uid === uid && known.renewTime === renewTime) renewedAtMs = known.atMs;
    this.#sightings.set(key, { uid, renewTime, atMs: renewedAtMs });
    return { key, framework, renewedAtMs, durationMs, released };
  }

  forget(key: string): void {
    this.#sightings.delete(key);
  }
}
