/**
 * The closed lists of reasons. Each has a page in the reference: what it means and what to do. Codes are kebab-case on
 * the wire and in `status`; a condition's `reason` is the same word in CamelCase (`conditionReason`).
 */

/** What a reason means, and what whoever meets it can do. */
export interface ReasonText {
  meaning: string;
  remedy: string;
}

/** Why an answer, or one of its launches, was refused. */
export const refusalReasons = {
  "offer-gone": {
    meaning:
      "The offer is not open: it expired, was rescinded, was answered already or belongs to an earlier leader's term.",
    remedy: "Wait for the next offer. If offers often expire, answer sooner or raise `spec.offers.timeoutSeconds`.",
  },
  "not-an-answerer": {
    meaning: "The user in `answer.by` is not one of the offer's `spec.answerers`.",
    remedy:
      "Answer as one of them, or add the user to the Framework's `spec.answerers`; offers made from then on name it.",
  },
  "invalid-answer": {
    meaning: "The answer contradicts itself, for example a Decline with launches or a count of zero.",
    remedy: "Correct the program that answers; the message names the field.",
  },
  "unknown-slice": {
    meaning: "A launch names a slice that the offer does not have.",
    remedy: "Use the names in the offer's `spec.slices`.",
  },
  "unknown-task": {
    meaning: "A launch names a Task that does not exist in the offer's namespace or belongs to another Framework.",
    remedy: "Create the Task first and name it exactly.",
  },
  "wrong-queue": {
    meaning: "The offer charges one queue and the Task is to be charged to another.",
    remedy: "Launch the Task on an offer of its own queue.",
  },
  "not-pending": {
    meaning: "The Task has fewer instances that wait than the launch asks for.",
    remedy: "Read the Task's status before answering; instances may have been launched on another offer.",
  },
  parallelism: {
    meaning: "More instances would run at once than the Task's `parallelism` allows.",
    remedy: "Raise `spec.parallelism`, or wait until instances end.",
  },
  "does-not-fit": {
    meaning: "The tasks launched on a slice need more than the slice has, all requests of their pods added up.",
    remedy: "Launch fewer. Count init containers, sidecars and what the namespace's LimitRange adds.",
  },
  "constraints-not-met": {
    meaning: "The node does not meet the Task's constraints: selector, affinity, tolerations or spread.",
    remedy: "Choose another slice, or change the constraints in a new Task.",
  },
  "template-refused": {
    meaning: "The Task's template has something that tasks may not have, or the API server refused a pod made from it.",
    remedy: "Create the Task anew without it; the message names the field.",
  },
  "lost-race": {
    meaning: "The offer was optimistic and another framework took the room first, or a leader changed in between.",
    remedy: "Try again with the next offer. After three lost races in a row it is an exclusive one.",
  },
  "over-limit": {
    meaning: "The launch would take the queue, or one above it, past its `limit`.",
    remedy: "Wait until tasks of the queue end, or ask an administrator for a higher limit.",
  },
  "kept-back": {
    meaning: "The room is kept back for another queue that has not got its guarantee yet.",
    remedy: "Wait. A guarantee of your own queue is kept back for you in the same way.",
  },
  "node-gone": {
    meaning: "The node has left, was cordoned, is not ready, or has a taint that the Task does not tolerate.",
    remedy: "Wait for an offer of another node.",
  },
  suppressed: {
    meaning: "The Framework is suppressed.",
    remedy: "Set `spec.suppressed` to false.",
  },
} as const satisfies Record<string, ReasonText>;

/** Why a framework gets no offer, or an instance no place, at present. */
export const waitingReasons = {
  "not-accepted": {
    meaning: "The Framework, Queue or Task is not in use as declared; its condition `Accepted` is False.",
    remedy: "Read that condition's message and correct the object.",
  },
  "unknown-framework": {
    meaning: "The Task names a Framework that does not exist in its namespace.",
    remedy: "Create the Framework; the Task is picked up then.",
  },
  "unknown-queue": {
    meaning: "The queue does not exist, or is not one of the Framework's.",
    remedy: "Ask an administrator for the queue, or name another in `spec.queues`.",
  },
  "namespace-not-allowed": {
    meaning: "The queue's `namespaces` do not name this namespace.",
    remedy: "Ask the queue's administrator to add it, or use another queue.",
  },
  "over-queue-bounds": {
    meaning: "A weight or a priority is greater than the queue allows (`maxFrameworkWeight`, `maxPriority`).",
    remedy: "Lower it, or ask the queue's administrator.",
  },
  "max-tasks": {
    meaning: "The queue has as many unfinished Tasks as its `maxTasks` allows.",
    remedy: "Wait until some end, or put more instances into fewer Tasks.",
  },
  "policy-missing": {
    meaning: "The admission policy that protects offers is not in force, so no offers are published.",
    remedy: "Install it: it is part of the Helm chart. The operator looks again by itself.",
  },
  "no-demand": {
    meaning: "Nothing waits and no demand is stated.",
    remedy: "Create Tasks, or state `spec.demand` ahead of them.",
  },
  suppressed: {
    meaning: "The Framework is suppressed.",
    remedy: "Set `spec.suppressed` to false.",
  },
  parallelism: {
    meaning: "As many instances as the Task's `parallelism` hold resources.",
    remedy: "Raise `spec.parallelism`, or wait.",
  },
  "backing-off": {
    meaning: "The instance failed and waits before it is tried again.",
    remedy: "Wait, or lower `retry.backoffSeconds` in a new Task. `status.lastFailures` says why it failed.",
  },
  "no-nodes": {
    meaning: "There is no node to place on: none is ready, uncordoned and selected by the operator's configuration.",
    remedy: "Look at the nodes; add some.",
  },
  "constraints-not-met": {
    meaning: "No node meets the constraints: selector, affinity, tolerations or spread.",
    remedy: "Compare them with the nodes' labels and taints; the message counts the nodes by what keeps them out.",
  },
  "never-fits": {
    meaning: "No node is large enough, even when empty.",
    remedy: "Ask for less per instance, or add larger nodes.",
  },
  "insufficient-resources": {
    meaning:
      "No node has enough free at present; the message names the resource, the need and the largest free amount.",
    remedy: "Wait until something ends, ask for less, or add nodes.",
  },
  "below-minimum": {
    meaning: "What is free on each node is less than the Framework's `offers.minimum`.",
    remedy: "Lower the minimum, or wait.",
  },
  filtered: {
    meaning: "The Framework refused these nodes and its filter has not ended.",
    remedy: "Wait, use a shorter `filter.refuseSeconds`, or change `spec.revive` to forget all filters.",
  },
  "over-limit": {
    meaning: "The queue, or one above it, is at its `limit`.",
    remedy: "Wait until tasks of the queue end, or ask an administrator for a higher limit.",
  },
  "kept-back": {
    meaning: "What is free is kept back for another queue that has not got its guarantee yet.",
    remedy: "Wait.",
  },
  "not-its-turn": {
    meaning: "Others with a lower share were served first and took what was free.",
    remedy: "Wait; a greater weight makes the wait shorter.",
  },
  "max-outstanding": {
    meaning: "As many offers are open as `offers.maxOutstanding` allows; unanswered offers lower that number.",
    remedy: "Answer the open offers; each answer restores the limit.",
  },
  "declined-too-often": {
    meaning:
      "Three or more offers in a row were declined or not answered, so others are served first for up to a minute.",
    remedy: "Narrow `offers.constraints` and `offers.minimum` to what is useful, or suppress the framework when idle.",
  },
  "node-settling": {
    meaning: "The nodes are new or have just come back; their own DaemonSets are placed first.",
    remedy: "Wait some seconds.",
  },
} as const satisfies Record<string, ReasonText>;

/** Why an attempt of an instance ended otherwise than by success. */
export const failureReasons = {
  "exit-code": {
    meaning: "A container ended with an exit code other than 0; `exitCode` holds it.",
    remedy: "Read the container's log and the message.",
  },
  "out-of-memory": {
    meaning: "A container used more memory than its limit, or the node ran out of memory.",
    remedy: "Ask for more memory, or use less.",
  },
  "deadline-exceeded": {
    meaning: "The pod ran longer than the template's `activeDeadlineSeconds`.",
    remedy: "Raise it, or give each instance less to do.",
  },
  evicted: {
    meaning: "The pod was evicted: by its node for want of memory or disk, by a drain or by preemption.",
    remedy: "Ask for what is really used; `retry` starts it again.",
  },
  "pod-refused": {
    meaning: "The API server refused the pod, for example by a quota or by Pod Security.",
    remedy: "The message is the API server's own.",
  },
  "node-refused": {
    meaning: "The node's kubelet refused the pod, since it saw less room there or other labels than the operator.",
    remedy: "Usually none: the instance counts as lost and the node is looked at anew before it is offered again.",
  },
  "pod-deleted": {
    meaning: "Someone deleted the pod.",
    remedy: "To end an instance, use `spec.kill`. `retry.onNodeLost` says whether it runs again.",
  },
  "node-lost": {
    meaning: "The node's object is gone, or the node was out of reach for longer than `unreachableSeconds`.",
    remedy: "`retry.onNodeLost: Retry` tries such instances again.",
  },
  killed: {
    meaning: "The instance was ended by `spec.kill`.",
    remedy: "None.",
  },
  "start-failed": {
    meaning: "A container could not be started: its image, configuration or command is missing or wrong.",
    remedy: "Correct the template in a new Task; the message is the kubelet's own.",
  },
  unknown: {
    meaning: "The pod failed and nothing says why.",
    remedy: "Look at the node's events and logs.",
  },
} as const satisfies Record<string, ReasonText>;

export type RefusalReason = keyof typeof refusalReasons;
export type WaitingReason = keyof typeof waitingReasons;
export type FailureReason = keyof typeof failureReasons;

/** A reason as a condition's `reason`: `lost-race` becomes `LostRace`. */
export function conditionReason(code: RefusalReason | WaitingReason | FailureReason): string {
  return code
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
