/**
 * Reading objects of others: whatever is missing or of another type than it should be reads as absent, and nothing
 * throws, so that one malformed object never stops the rest.
 */

export type JsonRecord = Readonly<Record<string, unknown>>;

const nothing: JsonRecord = Object.freeze({});
const none: readonly JsonRecord[] = Object.freeze([]);

/** The member as an object; an empty one where it is none. */
export function record(value: unknown, member?: string): JsonRecord {
  const inner = member === undefined ? value : own(value, member);
  return isRecord(inner) ? inner : nothing;
}

/** The member as a list of objects; others in it are left out. */
export function records(value: unknown, member: string): readonly JsonRecord[] {
  const inner = own(value, member);
  if (!Array.isArray(inner)) return none;
  // Nearly always all of them are: no copy then.
  return inner.every(isRecord) ? inner : inner.filter(isRecord);
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function text(value: unknown, member: string): string | undefined {
  const inner = own(value, member);
  return typeof inner === "string" ? inner : undefined;
}

export function number(value: unknown, member: string): number | undefined {
  const inner = own(value, member);
  return typeof inner === "number" && Number.isFinite(inner) ? inner : undefined;
}

/** Objects made in a burst share their second. */
let latest: { readonly source: string; readonly ms: number | undefined } = { source: "", ms: undefined };

/** An RFC 3339 time in milliseconds since 1970. */
export function timeMs(value: unknown, member: string): number | undefined {
  const source = text(value, member);
  if (source === undefined || source.length > 64) return undefined;
  if (source !== latest.source) {
    const ms = Date.parse(source);
    latest = { source, ms: Number.isNaN(ms) ? undefined : ms };
  }
  return latest.ms;
}

/** A map of texts without a prototype: `__proto__` is a key like any other. */
export function textMap(value: unknown, member: string): Readonly<Record<string, string>> {
  const out: Record<string, string> = Object.create(null);
  for (const [key, entry] of Object.entries(record(value, member))) if (typeof entry === "string") out[key] = entry;
  return out;
}

/** A text cut to `max` characters, for fields with a bound. */
export function clip(source: string, max: number): string {
  return source.length <= max ? source : `${source.slice(0, max - 1)}…`;
}

function own(value: unknown, member: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.hasOwn(value, member) ? (value as JsonRecord)[member] : undefined;
}

/** Do two plain JSON values say the same? Members that are undefined count as absent. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as JsonRecord, b as JsonRecord];
  const keys = Object.keys(left);
  for (const key of keys) if (!sameJson(left[key], right[key])) return false;
  return Object.keys(right).every((key) => right[key] === undefined || Object.hasOwn(left, key));
}
