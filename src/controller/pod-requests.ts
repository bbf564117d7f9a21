import { parseRequests } from "../offers/quantity.ts";
import type { Quantities } from "../offers/resources.ts";
import { type JsonRecord, record, records, text } from "./observe/json.ts";

type Amounts = Record<string, number>;

/**
 * What a pod takes of its node, in canonical units, `pods: 1` included.
 *
 * The rule is `PodRequests` of k8s.io/component-helpers 0.36 as the scheduler calls it: the containers' sum, but at least
 * what the initialisation needs at any time (an init container beside the sidecars started before it); pod-level requests
 * instead, where given; the overhead on top; while a pod is resized, the largest of what is asked, allocated and in use.
 */
export function podRequests(pod: unknown): Quantities {
  const spec = record(pod, "spec");
  const status = record(pod, "status");
  const sole = soleContainer(spec, status);
  if (sole === undefined) return sumOfRequests(spec, status);
  const known = sums.get(sole.asked);
  if (known !== undefined && known.actual === sole.actual && known.allocated === sole.allocated) return known.amounts;
  const amounts = sumOfRequests(spec, status);
  sums.set(sole.asked, { ...sole, amounts });
  return amounts;
}

/** All that the sum depends on. */
interface SoleContainer {
  readonly asked: object;
  /** What its status says, where it says it. */
  readonly actual: unknown;
  readonly allocated: unknown;
}

/**
 * Pods that come as protobuf share the resources of their containers: what thousands of them take is summed up once. The
 * latest sum for what a container asks for.
 */
const sums = new WeakMap<object, SoleContainer & { readonly amounts: Quantities }>();

/** Of a pod that is nothing but this container, as most are; undefined for any other. */
function soleContainer(spec: JsonRecord, status: JsonRecord): SoleContainer | undefined {
  if (spec.initContainers !== undefined || spec.overhead !== undefined || spec.resources !== undefined)
    return undefined;
  if (status.initContainerStatuses !== undefined) return undefined;
  const containers = records(spec, "containers");
  const statuses = records(status, "containerStatuses");
  if (containers.length !== 1 || statuses.length > 1) return undefined;
  const [container, shown] = [containers[0], statuses[0]];
  const asked = container?.resources;
  if (typeof asked !== "object" || asked === null) return undefined;
  const isShown = shown !== undefined && (text(shown, "name") ?? "") === (text(container, "name") ?? "");
  if (!isShown) return { asked, actual: undefined, allocated: undefined };
  const { resources: actual, allocatedResources: allocated } = shown;
  if (actual !== undefined && isInfeasible(status)) return undefined;
  return { asked, actual, allocated };
}

function sumOfRequests(spec: JsonRecord, status: JsonRecord): Quantities {
  const resize = new Resize(status);
  const amounts = containerRequests(spec, resize);
  const podLevel = record(record(spec, "resources"), "requests");
  if (Object.keys(podLevel).some(isPodLevelResource)) {
    const effective = resize.ofPod(podLevel, status);
    for (const name of Object.keys(podLevel)) if (isPodLevelResource(name)) amounts[name] = effective[name] ?? 0;
  }
  add(amounts, parseRequests(record(spec, "overhead")));
  for (const name of Object.keys(amounts)) if (amounts[name] === 0) delete amounts[name];
  amounts.pods = 1;
  return amounts;
}

function containerRequests(spec: JsonRecord, resize: Resize): Amounts {
  const sum: Amounts = {};
  for (const container of records(spec, "containers")) add(sum, resize.ofContainer(container));
  const initContainers = records(spec, "initContainers");
  if (initContainers.length === 0) return sum;
  const sidecars: Amounts = {};
  const peak: Amounts = {};
  for (const container of initContainers) {
    if (text(container, "restartPolicy") === "Always") {
      const requests = resize.ofContainer(container);
      add(sum, requests);
      add(sidecars, requests);
      raise(peak, sidecars);
    } else {
      const requests = { ...containerSpecRequests(container) };
      add(requests, sidecars);
      raise(peak, requests);
    }
  }
  raise(sum, peak);
  return sum;
}

/** What the status says about resources, while and after they are changed in place. */
class Resize {
  readonly #status: JsonRecord;
  #containers: Map<string, JsonRecord> | undefined;
  #infeasible: boolean | undefined;

  constructor(status: JsonRecord) {
    this.#status = status;
  }

  ofContainer(container: JsonRecord): Quantities {
    const asked = containerSpecRequests(container);
    const status = this.#statusOf(text(container, "name") ?? "");
    if (status === undefined) return asked;
    return this.#effective(asked, record(status, "resources"), record(status, "allocatedResources"));
  }

  ofPod(asked: JsonRecord, status: JsonRecord): Quantities {
    if (!Object.hasOwn(status, "resources")) return parseRequests(asked);
    return this.#effective(parseRequests(asked), record(status, "resources"), record(status, "allocatedResources"));
  }

  #effective(asked: Quantities, actual: JsonRecord, allocated: JsonRecord): Quantities {
    const amounts = { ...parseRequests(record(actual, "requests")) };
    raise(amounts, parseRequests(allocated));
    // What can never be granted is not taken either.
    this.#infeasible ??= isInfeasible(this.#status);
    if (!this.#infeasible) raise(amounts, asked);
    return amounts;
  }

  /** Statuses that tell resources; those of init containers outrank equal names, as in the original. */
  #statusOf(name: string): JsonRecord | undefined {
    if (this.#containers === undefined) {
      this.#containers = new Map();
      for (const member of ["containerStatuses", "initContainerStatuses"]) {
        for (const status of records(this.#status, member)) {
          if (typeof status.resources === "object") this.#containers.set(text(status, "name") ?? "", status);
        }
      }
    }
    return this.#containers.get(name);
  }
}

function isInfeasible(status: JsonRecord): boolean {
  const pending = records(status, "conditions").find((condition) => text(condition, "type") === "PodResizePending");
  return pending !== undefined && text(pending, "reason") === "Infeasible";
}

/** Containers that come as protobuf share their resources: what thousands of them ask for is parsed once. */
const parsed = new WeakMap<JsonRecord, Quantities>();

/** Limits stand in for absent requests: the API server does so on create, and templates are read before that. */
function containerSpecRequests(container: JsonRecord): Quantities {
  const resources = record(container, "resources");
  const known = parsed.get(resources);
  if (known !== undefined) return known;
  const limits = record(resources, "limits");
  const requests = record(resources, "requests");
  const amounts = parseRequests(Object.keys(limits).length === 0 ? requests : { ...limits, ...requests });
  parsed.set(resources, amounts);
  return amounts;
}

function isPodLevelResource(name: string): boolean {
  return name === "cpu" || name === "memory" || name.startsWith("hugepages-");
}

function add(into: Amounts, amounts: Quantities): void {
  for (const name of Object.keys(amounts)) into[name] = (into[name] ?? 0) + amounts[name]!;
}

function raise(into: Amounts, amounts: Quantities): void {
  for (const name of Object.keys(amounts)) into[name] = Math.max(into[name] ?? 0, amounts[name]!);
}
