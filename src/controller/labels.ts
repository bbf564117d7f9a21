/** On pods: the UID of their Task, so that they are known as ours without reading the owner. */
export const TASK_UID_LABEL = "proffer.dev/task-uid";
/** In every container of a task: the Task's name. */
export const TASK_ENV = "PROFFER_TASK";
/** In every container of a task: the Framework's name. */
export const FRAMEWORK_ENV = "PROFFER_FRAMEWORK";
