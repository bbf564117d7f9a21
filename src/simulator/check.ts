/** What a simulation finds wrong is told by its seed. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
