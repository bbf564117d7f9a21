import type { Framework } from "../../api/framework.ts";
import type { Offer } from "../../api/offer.ts";
import type { Queue } from "../../api/queue.ts";
import { podRequests } from "../../controller/pod-requests.ts";
import { formatQuantity, parseQuantities, unitOf } from "../../offers/quantity.ts";

/** Amounts as objects have them: quantities as text, or numbers. */
type Amounts = Readonly<Record<string, string | number>>;

const nothing = "-";

/** One row a queue and resource: what it holds, and what it is due. */
export function queueRows(queues: readonly Queue[]): string[][] {
  const header = ["QUEUE", "SHARE", "RESOURCE", "ALLOCATED", "OFFERED", "HELD", "DEMAND", "GUARANTEE", "LIMIT"];
  const rows = queues.flatMap(({ metadata, spec, status = {} }) => {
    const {
      allocated = {},
      offered = {},
      held = {},
      demand = {},
      dominantShare,
    } = status as NonNullable<Queue["status"]>;
    const share = dominantShare === undefined ? "" : percent(Number(dominantShare));
    const columns = [allocated, offered, held, demand, spec.guarantee ?? {}, spec.limit ?? {}];
    return rowsOf(columns, 4).map((cells) => [metadata.name, share, ...cells]);
  });
  return [header, ...rows];
}

/** One row a framework and resource. */
export function frameworkRows(frameworks: readonly Framework[], namespaces: boolean): string[][] {
  const header = ["FRAMEWORK", "QUEUE", "SHARE", "RESOURCE", "ALLOCATED", "OFFERED", "HELD", "DEMAND"];
  const rows = frameworks.flatMap(({ metadata, spec, status = {} }) => {
    const {
      allocated = {},
      offered = {},
      held = {},
      demand = {},
      share = "",
    } = status as NonNullable<Framework["status"]>;
    const head = [metadata.name, spec.queues[0]?.name ?? "", share];
    const within = namespaces ? [metadata.namespace ?? ""] : [];
    return rowsOf([allocated, offered, held, demand], 4).map((cells) => [...within, ...head, ...cells]);
  });
  return [namespaces ? ["NAMESPACE", ...header] : header, ...rows];
}

/** A row a resource: its name and its amount in each column. In the first `usage` columns what is absent is 0. */
function rowsOf(columns: readonly Amounts[], usage: number): string[][] {
  const names = resourceOrder(columns.flatMap((amounts) => Object.keys(amounts)));
  if (names.length === 0) return [[nothing, ...columns.map(() => nothing)]];
  return names.map((name) => [
    name,
    ...columns.map((amounts, at) => String(amounts[name] ?? (at < usage ? "0" : nothing))),
  ]);
}

/** cpu and memory first, pods last, others by name between them. */
function resourceOrder(names: readonly string[]): string[] {
  const rank = (name: string): number => ({ cpu: 0, memory: 1, pods: 3 })[name] ?? 2;
  return [...new Set(names)].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** As much of a Node and a Pod as is looked at here. */
export interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: { readonly allocatable?: Amounts };
}
export interface PodObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

export interface ClusterObjects {
  readonly nodes: readonly NodeObject[];
  readonly pods: readonly PodObject[];
  readonly offers: readonly Offer[];
}

/** One row a node and resource: what it has, what pods request of it, what is promised in offers, and the rest. */
export function nodeRows({ nodes, pods, offers }: ClusterObjects, { all }: { all: boolean }): string[][] {
  const header = ["NODE", "RESOURCE", "ALLOCATABLE", "REQUESTED", "OFFERED", "FREE", "USED"];
  const requested = byNode(
    pods.filter(isAlive).map((pod) => ({ node: pod.spec?.nodeName, amounts: podRequests(pod) })),
  );
  const offered = byNode(offers.filter(isHeld).flatMap(slicesOf));
  const rows = nodes.flatMap(({ metadata, status }) => {
    const allocatable = parseQuantities(status?.allocatable, "down");
    const [taken, promised] = [requested.get(metadata.name) ?? {}, offered.get(metadata.name) ?? {}];
    const names = resourceOrder(Object.keys(allocatable)).filter((name) => all || isTelling(name, taken));
    return names.map((name) => {
      const [has, used, held] = [allocatable[name] ?? 0, taken[name] ?? 0, promised[name] ?? 0];
      const text = (amount: number): string => formatQuantity(amount, unitOf(name));
      const free = has - used - held;
      const shown = free < 0 ? `-${text(-free)}` : text(free);
      return [metadata.name, name, text(has), text(used), text(held), shown, percent(has === 0 ? 0 : used / has)];
    });
  });
  return [header, ...rows];
}

/** What every node has plenty of is shown only where it is used or asked for. */
function isTelling(name: string, taken: Readonly<Record<string, number>>): boolean {
  if (name === "pods") return false;
  if (name === "ephemeral-storage" || name.startsWith("hugepages-")) return (taken[name] ?? 0) > 0;
  return true;
}

const isAlive = ({ status }: PodObject): boolean => status?.phase !== "Succeeded" && status?.phase !== "Failed";

/** Optimistic offers only show what is free. */
function isHeld({ spec, status, answer }: Offer): boolean {
  return spec.concurrency === "Exclusive" && (status?.phase ?? "Open") === "Open" && answer === undefined;
}

function slicesOf({ spec }: Offer) {
  return spec.slices.map(({ node, resources }) => ({ node, amounts: parseQuantities(resources, "up") }));
}

function byNode(
  entries: readonly { readonly node: string | undefined; readonly amounts: Readonly<Record<string, number>> }[],
): Map<string, Record<string, number>> {
  const sums = new Map<string, Record<string, number>>();
  for (const { node, amounts } of entries) {
    if (!node) continue;
    const sum = sums.get(node) ?? {};
    for (const [name, amount] of Object.entries(amounts)) sum[name] = (sum[name] ?? 0) + amount;
    sums.set(node, sum);
  }
  return sums;
}

const percent = (part: number): string => `${(part * 100).toFixed(1)}%`;
