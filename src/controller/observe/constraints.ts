import type { Constraints as ApiConstraints } from "../../api/constraints.ts";
import type { Constraints } from "../../offers/nodes/constraints.ts";

/** Constraints as declared → as the broker reads them: only what is there, and no prototype under labels. */
export function constraintsOf(declared: ApiConstraints | undefined): Constraints | undefined {
  if (declared === undefined) return undefined;
  const { nodeSelector, nodeAffinity, tolerations, spread } = declared;
  return {
    ...(nodeSelector && { nodeSelector: Object.assign(Object.create(null), nodeSelector) as Record<string, string> }),
    ...(nodeAffinity && {
      nodeAffinity: nodeAffinity.map(({ matchExpressions }) => ({ matchExpressions: matchExpressions.map(present) })),
    }),
    ...(tolerations && { tolerations: tolerations.map(present) }),
    ...(spread && { spread }),
  };
}

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the members that are undefined. */
function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;
}
