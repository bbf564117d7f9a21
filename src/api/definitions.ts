import type { ResourceDefinition } from "./common.ts";
import { frameworkDefinition } from "./framework.ts";
import { offerDefinition } from "./offer.ts";
import { queueDefinition } from "./queue.ts";
import { taskDefinition } from "./task.ts";

/** Every custom resource that Proffer defines, in the order in which the documents name them. */
export const definitions: readonly ResourceDefinition[] = [
  queueDefinition,
  frameworkDefinition,
  taskDefinition,
  offerDefinition,
];
