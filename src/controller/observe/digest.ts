import { createHash } from "node:crypto";

/** Equal for equal JSON, whatever the order of its members. */
export function digestOf(value: unknown): string {
  return digestOfText(canonicalJson(value));
}

/** Undefined where there is none. */
export function digestOfStatus(status: object): string | undefined {
  return Object.keys(status).length === 0 ? undefined : digestOf(status);
}

export function digestOfText(source: string): string {
  return createHash("sha256").update(source).digest("base64url").slice(0, 22);
}

function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, member: unknown) => {
      if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
      const source = member as Record<string, unknown>;
      return Object.fromEntries(
        Object.keys(source)
          .sort()
          .map((key) => [key, source[key]]),
      );
    }) ?? ""
  );
}
