import { hash } from "node:crypto";

/** Equal for equal JSON, whatever the order of its members. */
export function digestOf(value: unknown): string {
  return digestOfText(canonicalJson(value));
}

/** Undefined where there is none. */
export function digestOfStatus(status: object): string | undefined {
  return Object.keys(status).length === 0 ? undefined : digestOf(status);
}

export function digestOfText(source: string): string {
  return hash("sha256", source, "base64url").slice(0, 22);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? "";
}

/** The same JSON with the members of its objects in order. Not a replacer: JSON.stringify calls one slowly. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const source = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(source)
      .sort()
      .map((key) => [key, sorted(source[key])]),
  );
}
