type Table = Record<string, readonly [meaning: string, whatToDo: string]>;

/** Why something waits. For each there is a world in reasons.worlds.test-support.ts that shows what people are told. */
export const WAITING_REASONS = {
  // Why a task or framework cannot take part at all, in the order of the checks.
  "invalid-task": [
    "The Task breaks a rule that admission did not see.",
    "Read the message, delete the Task, create a corrected one.",
  ],
  "template-refused": [
    "The API server refused a pod of this template in a dry run.",
    "Read the message: quota, a webhook or a missing reference; the template is tried again from time to time.",
  ],
  "unknown-framework": [
    "The Task names a Framework that does not exist in its namespace.",
    "Create the Framework or correct the name.",
  ],
  "unknown-queue": [
    "The queue does not exist.",
    "Create the Queue, or name one that exists in `Framework.spec.queues`.",
  ],
  "queue-not-allowed": [
    "The queue does not admit this namespace, or the framework does not list the queue.",
    "Add the namespace to `Queue.spec.namespaces`, or the queue to `Framework.spec.queues`.",
  ],
  "queue-invalid": [
    "Nothing of the queue is in force, for it contradicts itself or other queues: its parent is missing, it would be below itself, or guarantees add up to more than the queue above can give.",
    "Read the message and correct the Queue that it names; those that wait for it come into force by themselves.",
  ],
  "priority-too-high": [
    "The Task's priority is above the queue's `maxPriority`.",
    "Lower the priority or raise the queue's bound.",
  ],
  "too-many-tasks": [
    "The queue holds `maxTasks` unfinished tasks already.",
    "Wait for tasks to finish or raise the bound.",
  ],
  "group-invalid": [
    "The Task names a group that has its size of Tasks already, or another size than they, or it is in another queue.",
    "Give the Task another `spec.group`; nothing of it can be changed later, so delete it and create it anew.",
  ],
  "gang-too-large": [
    "What is to start together is more than there is or may be had, whoever else runs.",
    "Read the numbers in the message: ask for less, add nodes, or raise the limit that it names.",
  ],
  suppressed: ["The framework asked for no offers.", "Set `Framework.spec.suppressed` to false."],
  disconnected: [
    "The framework's program is away: it has not renewed its Lease, or has given it back.",
    "Start the program again. Its tasks run on meanwhile, for as long as `Framework.spec.failoverTimeoutSeconds` says.",
  ],
  // Why nothing is offered now, in the order of the checks.
  "no-demand": ["Nothing is waiting.", "Create a Task or state `Framework.spec.demand`."],
  sizing: ["A dry run is asking the API server what pods of this template will really request.", "Wait a moment."],
  "gang-not-ready": [
    "Not all that is to start together may start yet: a Task of the group is missing, or an instance waits for something else.",
    "Read the message: create the Tasks that are missing, or look at the one that it names.",
  ],
  "gang-starting": [
    "What starts together is being started; the rest follows once all of it has.",
    "Wait a moment. If it came to nothing, what was started ends, and all of it starts anew.",
  ],
  "back-off": ["An earlier attempt failed; the next one waits.", "Wait, or look at `status.lastFailures`."],
  "quota-exceeded": [
    "A ResourceQuota of the namespace is spent: the API server refused a pod, which counts as no attempt.",
    "Wait until something in the namespace ends, or raise the quota that the message names; it is tried again by itself.",
  ],
  parallelism: ["As many instances run as `spec.parallelism` allows.", "Wait for one to end or raise it."],
  "not-published": [
    "The operator may not publish offers, or the API server refused the last one.",
    "Read the message: the chart's admission policies are missing, or something in the namespace refuses Offers.",
  ],
  "waiting-for-answer": [
    "As many offers are open as the framework may hold.",
    "Answer open offers, or raise `Framework.spec.offers.maxOutstanding`.",
  ],
  "asked-back": [
    "Its queue has less than its guarantee, and room for it is being taken back from those who borrow.",
    "Wait until the time in the message; with pods that end slowly, for their grace period besides.",
  ],
  "minimum-runtime": [
    "Its queue has less than its guarantee, and what could be taken back for it has not run for long enough yet.",
    "Wait until the time in the message, or lower `Queue.spec.reclaim.minimumRuntimeSeconds` of the queues that borrow.",
  ],
  "no-node": ["No node fits.", "Read the numbers in the message: they say what each node lacks."],
  "over-limit": [
    "It would take the queue, or one above it, over its limit.",
    "Wait for the queue's tasks to end or raise `Queue.spec.limit`.",
  ],
  "kept-back": [
    "What is free is kept back for guarantees of other queues that have demand.",
    "Wait, or give this queue a guarantee.",
  ],
  "gang-too-wide": [
    "What is to start together would need more nodes than an offer has slices.",
    "Run it in a Builtin framework, or ask for fewer and larger instances.",
  ],
  gathering: [
    "It has waited long for more room than is free at a time: what becomes free is held for it now.",
    "Wait. The message says what is held, and when another one's turn comes if that is not enough by then.",
  ],
  "in-line": ["Nodes fit, and others are served first.", "Wait: the next round comes when something changes."],
  "not-starting": [
    "A pod is on its node, and the node cannot start it.",
    "Read the message: an image that is not there or may not be fetched, a volume. The node tries on; to give up, set `spec.kill`.",
  ],
  placed: ["Nothing waits: everything asked for is placed or offered.", "Nothing to do."],
} as const satisfies Table;

const ENDING_REASONS = {
  // Why an answer, or one launch of it, was refused.
  "not-yours": [
    "The answer was not given by one of the offer's answerers.",
    "Answer as a user that `Framework.spec.answerers` names.",
  ],
  "offer-gone": ["The offer was closed before the answer came.", "Answer the next offer."],
  "unknown-slice": ["The launch names a slice that the offer does not have.", "Use a name from `Offer.spec.slices`."],
  "unknown-task": [
    "The launch names a Task that does not exist or belongs to another framework.",
    "Name a Task of the offer's framework in its namespace.",
  ],
  "not-pending": [
    "The Task has fewer instances waiting than the launch wants to start.",
    "Launch at most what `status.counts.pending` says.",
  ],
  "too-large": [
    "The launches on this slice ask for more than the slice holds.",
    "Launch fewer, or wait for a larger offer.",
  ],
  constraint: ["The Task's constraints do not admit the slice's node.", "Launch it on a slice whose labels match."],
  "gang-incomplete": [
    "The answer starts a part of what starts together or not at all.",
    "Launch all of it in one answer: the offer made for it has room for all. `gang.minimum`, and `group`, say what belongs together.",
  ],
  "lost-race": [
    "The room was taken before the answer was committed, or (with conflict `Version`) somebody else got some of the node.",
    "Answer the next offer; after three lost races it is exclusive.",
  ],
  // Why an offer ended without an answer, or an attempt without success.
  expired: ["The offer was not answered in time.", "Answer within `Framework.spec.offers.timeoutSeconds`."],
  rescinded: ["What the offer was made of has changed.", "Answer the next offer."],
  "new-term": ["Another leader took over.", "Answer the next offer."],
  declined: ["The framework declined.", "Nothing to do."],
  "node-lost": [
    "The node is gone, was not ready for too long, or restarted.",
    "Look at the node; `retry.onNodeLost` says whether the instance runs again.",
  ],
  evicted: [
    "The node ended the pod: eviction, preemption or shutdown.",
    "Look at the node; `retry.onNodeLost` says whether the instance runs again.",
  ],
  reclaimed: [
    "Its queue had borrowed what another queue is guaranteed, and had to give it back.",
    "Nothing to do: it runs again as soon as there is room, and no retry is used up. A guarantee of its own, or `Queue.spec.reclaim.minimumRuntimeSeconds`, makes it rarer.",
  ],
  "pod-deleted": ["Somebody else deleted the pod.", "`retry.onNodeLost` says whether the instance runs again."],
  "kubelet-refused": [
    "The kubelet refused the pod before it ran.",
    "Nothing to do: it is placed again after the node was observed anew.",
  ],
  "pod-refused": [
    "The API server refused to create the pod.",
    "Read the message: a webhook, a missing reference, or something that a quota wants stated.",
  ],
  "gang-undone": [
    "Its gang could not be started as a whole, so what had been started was ended.",
    "Nothing to do: all of it starts anew, and it counts as no failure. Look at why some pods could not be created.",
  ],
  killed: ["It was killed on request.", "Nothing to do."],
  "framework-lost": [
    "The framework's program stayed away for longer than `failoverTimeoutSeconds`, and its `failoverPolicy` is `Kill`.",
    "Start the program again; what is to run again needs new Tasks. `failoverPolicy: Orphan` lets tasks run to their ends.",
  ],
  "exit-code": ["A container ended with a code other than zero.", "Read the logs of the pod."],
  "pod-failed": ["The pod failed.", "Read the message."],
} as const satisfies Table;

/**
 * Every reason the broker gives, for a refusal or for nothing offered: the closed list. Each has a page in the
 * reference, generated from this table.
 */
export const REASONS = { ...WAITING_REASONS, ...ENDING_REASONS };

export type Reason = keyof typeof REASONS;
