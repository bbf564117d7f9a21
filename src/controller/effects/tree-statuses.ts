import type { FrameworkStatus } from "../../api/framework.ts";
import type { Key } from "../../offers/messages.ts";
import type { BrokerContract } from "../broker-contract.ts";
import type { Clock } from "../kube/clock.ts";
import { frameworkStatus, queueStatus, type StatusContext } from "../manifests/framework-status.ts";
import type { ObservedFramework } from "../observe/framework.ts";
import type { ObservedQueue } from "../observe/queue.ts";
import { FRAMEWORK, QUEUE } from "./context.ts";
import type { Standing, StatusKind, StatusSubject } from "./statuses.ts";

export interface TreeStatusOptions {
  readonly broker: Pick<BrokerContract, "frameworkView" | "queueView">;
  readonly clock: Clock;
  readonly framework: (key: Key) => ObservedFramework | undefined;
  readonly queue: (name: string) => ObservedQueue | undefined;
  /** Why no offer is published at present; undefined: they are. */
  readonly unpublished: () => string | undefined;
  /** What is to be said of the program that Proffer starts for the framework. */
  readonly controller?: (key: Key) => FrameworkStatus["controller"];
  /** Between two writes of one object. Default 2 s. */
  readonly minIntervalMs?: number;
}

const debounceMs = 500;
/** Who deletes Frameworks, and then the queue, is not to wait for its status; many that go together are still few writes. */
const useChanged = { debounceMs: 20, minIntervalMs: 200 };

/** How statuses of Frameworks are made. */
export function frameworkStatusKind(options: TreeStatusOptions): StatusKind {
  const { broker, clock, framework, unpublished, controller, minIntervalMs = 2_000 } = options;
  return {
    kind: "Framework",
    resource: FRAMEWORK,
    type: "framework-changed",
    debounceMs,
    minIntervalMs,
    urgent: { debounceMs, minIntervalMs },
    subject: framework,
    plan: (key, subject, standing) => {
      const observed = framework(key);
      const heldBack = observed?.facts?.scheduler === "Offers" ? unpublished() : undefined;
      const view = broker.frameworkView(key);
      const status = frameworkStatus(view, heldBack, contextOf(subject, standing, observed?.invalid, clock));
      const program = controller?.(key);
      return { status: program === undefined ? status : { ...status, controller: program } };
    },
  };
}

/** How statuses of Queues are made. */
export function queueStatusKind(options: TreeStatusOptions): StatusKind {
  const { broker, clock, queue, minIntervalMs = 2_000 } = options;
  return {
    kind: "Queue",
    resource: QUEUE,
    type: "queue-changed",
    debounceMs,
    minIntervalMs,
    urgent: useChanged,
    subject: queue,
    plan: (name, subject, standing) => ({
      status: queueStatus(broker.queueView(name), contextOf(subject, standing, queue(name)?.facts.invalid, clock)),
    }),
  };
}

function contextOf(
  subject: StatusSubject,
  standing: Standing,
  invalid: string | undefined,
  clock: Clock,
): StatusContext {
  return { generation: subject.generation, invalid, standing: standing.conditions, nowMs: clock.nowMs() };
}
