/** The part of "namespace/name" before the slash. */
export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

/** The part of "namespace/name" after the slash; all of a key without one. */
export function localName(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
