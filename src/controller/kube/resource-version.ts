/**
 * Compares two resourceVersions of one resource type, which are decimal numbers of any length since Kubernetes 1.35
 * says so: negative if `a` is older, 0 if equal, positive if newer.
 */
export function compareResourceVersions(a: string, b: string): number {
  // Neither has leading zeros, so the longer number is the larger one.
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}
