import type { Reason } from "../explain/reasons.ts";
import type { PodFacts } from "../messages.ts";

/** How an attempt ended. */
export interface Ending {
  readonly outcome: "finished" | "failed" | "killed" | "lost";
  readonly reason: Reason;
  readonly message: string;
  readonly exitCode?: number;
  /** Its pod object is still there, and may still run: the index runs again only when that is gone. */
  readonly lingers?: boolean;
  /** Only what ran and failed by its own doing counts against the limit of retries. */
  readonly counts: boolean;
}

/** Reasons with which a kubelet refuses a pod at its door. */
const REFUSALS =
  /^(OutOf.+|NodeAffinity|NodeName|NodePorts|TaintToleration|UnexpectedAdmissionError|TopologyAffinityError|PodOSNotSupported|PodFeatureUnsupported|InvalidNodeInfo|AdmissionFailed)$/;
/** Reasons with which a node ends a pod that it ran. */
const EVICTIONS =
  /^(Evicted|Preempting|Shutdown|NodeShutdown|Terminated|NodeLost|TerminationByKubelet|DeletionByPodGC)$/;

/** Reasons of containers of which a node that was restarted knows no more than that they run no longer. */
const FORGOTTEN = /^(Unknown|ContainerStatusUnknown)$/;

/** What a pod's phase says of its end; undefined while it lives. */
export function endingOf(pod: PodFacts, killing: boolean): Ending | undefined {
  const message = pod.message ?? "";
  if (pod.phase === "Succeeded") return { outcome: "finished", reason: "placed", message: "", counts: false };
  if (pod.phase !== "Failed") return undefined;
  const code = pod.exitCode === undefined ? {} : { exitCode: pod.exitCode };
  if (killing) return { outcome: "killed", reason: "killed", message, counts: false, ...code };
  if (!pod.started && REFUSALS.test(pod.reason ?? "")) {
    return { outcome: "lost", reason: "kubelet-refused", message: withReason(pod), counts: false };
  }
  if (EVICTIONS.test(pod.reason ?? "")) {
    return { outcome: "lost", reason: "evicted", message: withReason(pod), counts: false, ...code };
  }
  if (FORGOTTEN.test(pod.reason ?? "")) {
    const told = "the node restarted, or lost track of it: how it ended is not known";
    return { outcome: "lost", reason: "node-lost", message: [told, message].filter(Boolean).join(": "), counts: false };
  }
  if (pod.deleting) {
    return { outcome: "lost", reason: "pod-deleted", message: withReason(pod), counts: false, ...code };
  }
  if (pod.exitCode !== undefined && pod.exitCode !== 0) {
    return { outcome: "failed", reason: "exit-code", message: withReason(pod), counts: true, ...code };
  }
  return { outcome: "failed", reason: "pod-failed", message: withReason(pod), counts: true, ...code };
}

/** Deleted with no grace, and kept by our finalizer alone: no kubelet tells of its end any more. */
export function endingOfForced(pod: PodFacts, killing: boolean, nodeIsUp: boolean): Ending | undefined {
  return pod.forced === true ? { ...endingOfVanished(killing, !nodeIsUp), lingers: true } : undefined;
}

/** The pod object is gone (or its node is, and it is being deleted) before a phase told its end. */
export function endingOfVanished(killing: boolean, nodeGone: boolean): Ending {
  if (killing) return { outcome: "killed", reason: "killed", message: "", counts: false };
  return nodeGone
    ? { outcome: "lost", reason: "node-lost", message: "the node is gone", counts: false }
    : { outcome: "lost", reason: "pod-deleted", message: "the pod was deleted", counts: false };
}

/** Killed because its framework's program stayed away, where `abandoned` tells of that. */
export function endingOfAbandoned(ending: Ending, abandoned: string | undefined): Ending {
  if (abandoned === undefined || ending.reason !== "killed") return ending;
  return { ...ending, reason: "framework-lost", message: abandoned };
}

/** However it looked: we ended it, to give its room back to `queue`. */
export function endingOfReclaimed(ending: Ending, queue: string): Ending {
  const message = `its room was taken back for queue ${queue}, which had less than its guarantee`;
  return { ...ending, outcome: "lost", reason: "reclaimed", message, counts: false };
}

/** The API server does not make the pod. */
export function endingOfRefused(killing: boolean, message: string): Ending {
  if (killing) return { outcome: "killed", reason: "killed", message: "", counts: false };
  return { outcome: "failed", reason: "pod-refused", message, counts: true };
}

/** Of the kubelet's reasons the one that says nothing, and the one that not everybody knows. */
const WORDING: Readonly<Record<string, string>> = { Error: "", OOMKilled: "OOMKilled: out of memory" };

/** What the node says of the pod, for people. */
export function withReason({ reason = "", message = "" }: PodFacts): string {
  return [WORDING[reason] ?? reason, message].filter((part) => part !== "").join(": ");
}

/** However it looked: we ended it, for its gang did not start as a whole. Its index starts anew with the others. */
export function endingOfRecalled(ending: Ending): Ending {
  const message = "not all that start together could be started";
  return { ...ending, outcome: "lost", reason: "gang-undone", message, counts: false };
}
