import { z } from "zod";
import { celOf } from "./common.ts";

/**
 * Fields that exist in Kubernetes but not in a task's template. Unknown fields are pruned silently, so that someone who
 * asks for `hostNetwork` would get a pod without it and no word about it. These fields are declared, and refused. A
 * `switch` is a boolean whose `false` is what tasks get anyway, so that it may be spelled out.
 */
export type RefusedKind = "switch" | "boolean" | "integer" | "string" | "object" | "strings" | "objects";

/** The metadata key under which the generator finds a refused field's kind. */
export const REFUSED = "x-proffer-refused";

/** Field name to its kind in Kubernetes and the message, or the kind alone for the usual message. */
export type RefusedFields = Record<string, RefusedKind | [kind: RefusedKind, message: string]>;

/** A pod-template object: the fields that are carried to pods, and those that are refused with a message. */
export function allowList<Shape extends z.core.$ZodLooseShape>(shape: Shape, refused: RefusedFields, what: string) {
  const declared: Record<string, z.ZodType> = {};
  for (const [field, entry] of Object.entries(refused)) {
    const [kind, message] = typeof entry === "string" ? [entry, `${field} is not supported in ${what}`] : entry;
    declared[field] = kind === "switch" ? refusedSwitch(message) : refusedField(kind, message);
  }
  // The refused fields stay out of the type: what has been parsed cannot carry them to a pod.
  return z.object({ ...shape, ...declared } as Shape);
}

/**
 * The rule stands at the field, not at its object: the API server evaluates it only where the field is given. Rules at
 * the object, one `!has()` a field, made each write of a Task 3 ms dearer.
 */
const refusal = (cel: string, message: string) => ({ "x-kubernetes-validations": [celOf({ cel, message })] });

function refusedField(kind: RefusedKind, message: string): z.ZodType {
  return z
    .never({ error: message })
    .optional()
    .meta({ [REFUSED]: kind, description: `Refused: ${message}.`, ...refusal("false", message) });
}

/** A switch that may be spelled out as off. */
function refusedSwitch(message: string): z.ZodType {
  return z
    .literal(false, { error: message })
    .optional()
    .meta({ [REFUSED]: "switch", description: `Refused when true: ${message}.`, ...refusal("!self", message) });
}
