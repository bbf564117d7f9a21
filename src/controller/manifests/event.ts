import { API_VERSION } from "../../api/common.ts";
import type { Effect } from "../../offers/messages.ts";
import type { Happening } from "../kube/events.ts";
import { camelCase } from "./conditions.ts";
import { localName, namespaceOf } from "./keys.ts";

/** What the broker has to tell → an event about the object. */
export function happeningOf({ about, severity, reason, note }: Extract<Effect, { type: "event" }>): Happening {
  const { kind, key, uid } = about;
  const namespace = kind === "Queue" ? {} : { namespace: namespaceOf(key) };
  return {
    regarding: { apiVersion: API_VERSION, kind, ...namespace, name: localName(key), uid },
    type: severity,
    reason: camelCase(reason),
    action: "Scheduling",
    note,
  };
}
