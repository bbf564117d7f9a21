import { ATTEMPT_LABEL, INDEX_LABEL } from "../../api/labels.ts";

/** One attempt of an instance, as far as its pod tells. */
export interface AttemptPod {
  readonly name: string;
  readonly index: number;
  readonly attempt: number;
  readonly node: string;
  /** A container has run: there is a log. */
  readonly started: boolean;
  /** Nothing of it runs any more. */
  readonly over: boolean;
  readonly failed: boolean;
  /** Of the container that failed first. */
  readonly exitCode?: number;
  /** Why the pod failed, if not by a container's exit code: `DeadlineExceeded`, `Evicted`. */
  readonly reason?: string;
}

/** As much of a Pod as is looked at here. */
interface PodObject {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly containerStatuses?: readonly {
      readonly state?: {
        readonly running?: object;
        readonly terminated?: { readonly exitCode?: number; readonly startedAt?: string | null };
      };
    }[];
  };
}

/** A Pod as it comes → what is told of its attempt. Undefined for a pod that is no instance of a Task. */
export function attemptOf(object: object): AttemptPod | undefined {
  const { metadata, spec, status } = object as PodObject;
  const index = wholeNumber(metadata.labels?.[INDEX_LABEL]);
  const attempt = wholeNumber(metadata.labels?.[ATTEMPT_LABEL]);
  if (index === undefined || attempt === undefined) return undefined;
  const states = (status?.containerStatuses ?? []).map(({ state }) => state ?? {});
  const exitCode = states.find(({ terminated }) => (terminated?.exitCode ?? 0) !== 0)?.terminated?.exitCode;
  const failed = status?.phase === "Failed";
  return {
    name: metadata.name,
    index,
    attempt,
    node: spec?.nodeName ?? "",
    // The kubelet also calls containers "terminated" that it never started.
    started: states.some(({ running, terminated }) => running !== undefined || Boolean(terminated?.startedAt)),
    over: failed || status?.phase === "Succeeded",
    failed,
    ...(failed && exitCode !== undefined && { exitCode }),
    ...(failed && status?.reason !== undefined && { reason: status.reason }),
  };
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,7}$/.test(text) ? Number(text) : undefined;
}
