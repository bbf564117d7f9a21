import type { NodeFacts } from "../../offers/messages.ts";
import type { Taint } from "../../offers/nodes/constraints.ts";
import { parseQuantities } from "../../offers/quantity.ts";
import { record, records, sameJson, text, textMap } from "./json.ts";

/** What is kept of a node: the broker's facts, but for those that depend on when it was first seen. */
export interface ObservedNode {
  readonly name: string;
  readonly uid: string;
  readonly facts: NodeFacts;
}

export interface NodeOptions {
  /** Labels that a node must carry to be placed on. */
  readonly selector: Readonly<Record<string, string>>;
}

/** A Node as it comes → what the broker needs of it. */
export function projectNode(node: unknown, options: NodeOptions): ObservedNode {
  const metadata = record(node, "metadata");
  const spec = record(node, "spec");
  const status = record(node, "status");
  const labels = textMap(metadata, "labels");
  const name = text(metadata, "name") ?? "";
  const uid = text(metadata, "uid") ?? "";
  // A node that is being deleted takes nothing new either.
  const cordoned = spec.unschedulable === true || text(metadata, "deletionTimestamp") !== undefined;
  const selected = Object.entries(options.selector).every(([key, value]) => labels[key] === value);
  const closed = selected ? (cordoned ? "cordoned" : undefined) : "not-selected";
  const facts: NodeFacts = {
    name,
    uid,
    allocatable: parseQuantities(record(status, "allocatable"), "down"),
    labels,
    taints: records(spec, "taints").flatMap(taintOf),
    ready: records(status, "conditions").some((c) => text(c, "type") === "Ready" && text(c, "status") === "True"),
    ...(closed && { closed }),
  };
  return { name, uid, facts };
}

function taintOf(taint: object): Taint[] {
  const key = text(taint, "key");
  const effect = text(taint, "effect");
  if (key === undefined || effect === undefined) return [];
  const value = text(taint, "value");
  return [{ key, effect, ...(value !== undefined && { value }) }];
}

/** Heartbeats change nothing that matters. */
export function sameNode(a: ObservedNode, b: ObservedNode): boolean {
  return sameJson(a.facts, b.facts);
}

/**
 * DaemonSet pods arrive on a new node after us: nodes that join during a term are offered a little later. Those that
 * were there when it began have their DaemonSet pods already.
 */
export class Settling {
  readonly #settleMs: number;
  readonly #settledAtMs = new Map<string, number>();
  #opened = false;

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /** From now on, nodes that appear are new ones. */
  open(): void {
    this.#opened = true;
  }

  factsOf(node: ObservedNode, nowMs: number): NodeFacts {
    let settledAtMs = this.#settledAtMs.get(node.uid);
    if (settledAtMs === undefined) {
      settledAtMs = this.#opened ? nowMs + this.#settleMs : 0;
      this.#settledAtMs.set(node.uid, settledAtMs);
    }
    if (node.facts.closed !== undefined || settledAtMs <= nowMs) return node.facts;
    return { ...node.facts, closed: "settling", settledAtMs };
  }

  forget(uid: string): void {
    this.#settledAtMs.delete(uid);
  }
}
