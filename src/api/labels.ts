/** Labels, annotations, finalizers and environment variables: the strings that other programs may rely on. */

/** Everything below this prefix on pods and offers is written by the operator alone. */
export const PREFIX = "proffer.dev/";

/** On pods and offers: the Framework's name. On a foreign pod: the Framework that it belongs to. */
export const FRAMEWORK_LABEL = "proffer.dev/framework";
/** On pods and offers: the Queue that is charged. */
export const QUEUE_LABEL = "proffer.dev/queue";
/** On pods: the Task's name. */
export const TASK_LABEL = "proffer.dev/task";
/** On pods: the UID of their Task, so that they are known as ours without reading the owner. */
export const TASK_UID_LABEL = "proffer.dev/task-uid";
/** On pods: the instance's index within its Task. */
export const INDEX_LABEL = "proffer.dev/index";
/** On pods: which attempt of the instance this is, from 0. */
export const ATTEMPT_LABEL = "proffer.dev/attempt";
/** On pods: `‹offer UID›.‹launch›`, the answer that this pod carries out. */
export const OFFER_LABEL = "proffer.dev/offer";

/** On pods of frameworks' programs that Proffer starts: the UID of the Framework. */
export const CONTROLLER_LABEL = "proffer.dev/controller-of";
/** On the same pods: a hash of what they are made from, starts before, failures in a row. */
export const PROGRAM_ANNOTATION = "proffer.dev/program";
/** On pods that are deleted to give their room back: the Queue that gets it. Such an end is no failure. */
export const RECLAIMED_ANNOTATION = "proffer.dev/reclaimed-for";

/** On Tasks: which call of `kubectl proffer run` made it. */
export const RUN_ANNOTATION = "proffer.dev/run";

/** On pods: kept until the end of the attempt stands in the Task's status. */
export const TRACKING_FINALIZER = "proffer.dev/tracking";

/** Field managers of the operator's writes. */
export const FIELD_MANAGER = "proffer";

/** In every container of a task: its index. */
export const INDEX_ENV = "PROFFER_TASK_INDEX";
/** In every container of a task: how many instances its Task has. */
export const INSTANCES_ENV = "PROFFER_TASK_INSTANCES";
/** In every container of a framework's program: the Framework's name, and its namespace. */
export const FRAMEWORK_ENV = "PROFFER_FRAMEWORK";
export const NAMESPACE_ENV = "PROFFER_NAMESPACE";
/** Names of environment variables that a template must not set. */
export const RESERVED_ENV_PREFIX = "PROFFER_";

/** The queue that the operator creates, open to every namespace. */
export const DEFAULT_QUEUE = "default";
