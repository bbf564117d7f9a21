import { API_VERSION } from "../../api/common.ts";
import { RUN_ANNOTATION } from "../../api/labels.ts";
import type { TaskInput } from "../../api/task.ts";

/** What `kubectl proffer run` is asked to do, its flags parsed. */
export interface RunWishes {
  readonly name: string;
  readonly namespace: string;
  readonly framework: string;
  readonly queue?: string | undefined;
  readonly instances: number;
  readonly image: string;
  /** Empty: what the image runs by itself. */
  readonly command: readonly string[];
  /** Of each instance, as quantities. */
  readonly requests: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly priority?: number | undefined;
  /** How often an instance that fails is tried again. Absent: as the Framework says. */
  readonly retries?: number | undefined;
  /** An attempt that runs longer is failed. */
  readonly timeoutSeconds?: number | undefined;
  /** Absent: the image's own user, who must not be root. */
  readonly runAsUser?: number | undefined;
  /** Deleted so long after its end. */
  readonly ttlSeconds?: number | undefined;
}

/** The one container of every instance. */
export const CONTAINER = "main";

/**
 * The Task that does it. `runId` marks it as made by this very call, so that a create whose answer was lost is known again.
 * The same wishes give the same object.
 */
export function taskObject(wishes: RunWishes, runId: string): TaskInput {
  const { name, namespace, queue, priority, retries, ttlSeconds } = wishes;
  const annotations = present(wishes.annotations);
  const nodeSelector = present(wishes.nodeSelector);
  return {
    apiVersion: API_VERSION,
    kind: "Task",
    metadata: { name, namespace, annotations: { [RUN_ANNOTATION]: runId } },
    spec: {
      framework: wishes.framework,
      ...(queue !== undefined && { queue }),
      instances: wishes.instances,
      ...(priority !== undefined && { priority }),
      ...(nodeSelector && { constraints: { nodeSelector } }),
      ...(retries !== undefined && { retry: { limit: retries } }),
      ...(ttlSeconds !== undefined && { ttlSecondsAfterFinished: ttlSeconds }),
      template: { ...(annotations && { metadata: { annotations } }), spec: podSpec(wishes) },
    },
  };
}

function podSpec(wishes: RunWishes): TaskInput["spec"]["template"]["spec"] {
  const { image, command, runAsUser, timeoutSeconds } = wishes;
  const requests = present(wishes.requests);
  // Kubernetes gives devices to limits only.
  const limits = present(
    Object.fromEntries(Object.entries(wishes.requests).filter(([resource]) => isDevice(resource))),
  );
  const env = Object.entries(wishes.env).map(([name, value]) => ({ name, value }));
  return {
    containers: [
      {
        name: CONTAINER,
        image,
        ...(command.length > 0 && { command: [...command] }),
        ...(env.length > 0 && { env }),
        ...(requests && { resources: { requests, ...(limits && { limits }) } }),
      },
    ],
    ...(timeoutSeconds !== undefined && { activeDeadlineSeconds: timeoutSeconds }),
    ...(runAsUser !== undefined && { securityContext: { runAsUser } }),
  };
}

/** Extended resources and huge pages cannot be overcommitted: their requests must equal limits. */
function isDevice(resource: string): boolean {
  return resource.includes("/") || resource.startsWith("hugepages-");
}

function present(entries: Readonly<Record<string, string>>): Record<string, string> | undefined {
  return Object.keys(entries).length === 0 ? undefined : { ...entries };
}
