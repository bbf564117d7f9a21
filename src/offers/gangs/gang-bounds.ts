import type { Shape } from "../nodes/shapes.ts";
import { formatQuantity, unitOf } from "../quantity.ts";
import { add, type Claimant } from "../queues/queues.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import type { Explanation } from "../views.ts";
import type { Gang, Part } from "./gang.ts";

type Limits = Pick<Bidder, "claimant" | "maxNodes" | "first">;

/** What can never start, were the whole cluster empty: with the numbers that say so. */
export class GangBounds {
  readonly #state: State;
  /** Rises whenever a node is not what it was. */
  #nodesVersion = 0;
  readonly #known = new WeakMap<Gang, { readonly key: string; readonly never: Explanation | undefined }>();

  constructor(state: State) {
    this.#state = state;
    state.nodes.listen({
      nodeChanged: () => {
        this.#nodesVersion++;
      },
      roomChanged: () => {},
    });
  }

  /** Why the gang can never start; undefined if nothing speaks against it. */
  never(bidder: Limits, gang: Gang): Explanation | undefined {
    const parts = gang.parts();
    const sizes = parts.map(({ task, missing }) => `${task.shape?.id}*${missing}`).join();
    const key = `${this.#nodesVersion}/${this.#state.tree.version}/${bidder.maxNodes}/${sizes}`;
    const known = this.#known.get(gang);
    if (known?.key === key) return known.never;
    const never = this.#overLimit(bidder.claimant, gang, parts) ?? this.#tooMany(bidder, gang, parts);
    this.#known.set(gang, { key, never });
    return never;
  }

  /** May one instance of the shape ever stand anywhere? */
  fitsSomewhere({ claimant }: Pick<Bidder, "claimant">, shape: Shape): boolean {
    if (this.#aboveLimit(claimant, shape.request) !== undefined) return false;
    for (const node of shape.where.admits) if (this.#whenEmpty(node, shape.request) > 0) return true;
    return false;
  }

  #overLimit(claimant: Claimant, gang: Gang, parts: readonly Part[]): Explanation | undefined {
    const sum = sumOf(parts, this.#state.resources.width);
    const above = this.#aboveLimit(claimant, sum);
    if (above === undefined) return undefined;
    const name = this.#state.resources.names[above.resource]!;
    const text = (amount: number) => formatQuantity(amount, unitOf(name));
    const message = `${gang.title}: ${name} ${text(sum[above.resource]!)} together, the limit of queue ${above.queue} is ${text(above.limit)}; raise it, or ask for less`;
    return { reason: "gang-too-large", message };
  }

  #aboveLimit(claimant: Claimant, vector: Vector): { resource: number; queue: string; limit: number } | undefined {
    for (const { name, limit } of this.#state.tree.path(claimant.parent)) {
      const resource = vector.findIndex((amount, r) => amount > 0 && amount > limit[r]!);
      if (resource >= 0) return { resource, queue: name, limit: limit[resource]! };
    }
    return undefined;
  }

  #tooMany(bidder: Limits, gang: Gang, parts: readonly Part[]): Explanation | undefined {
    for (const { task, missing } of parts) {
      const shape = task.shape!;
      const fits: number[] = [];
      for (const node of shape.where.admits) fits.push(this.#whenEmpty(node, shape.request));
      const all = fits.reduce((sum, fit) => sum + fit, 0);
      const name = gang.name === undefined ? "" : ` of task ${task.facts.key.slice(task.facts.key.indexOf("/") + 1)}`;
      if (all < missing) {
        const message = `${gang.title}: ${missing}${name} together, ${all} fit on the nodes it may use if they were empty; add nodes, or ask for less`;
        return { reason: "gang-too-large", message };
      }
      if (fits.length <= bidder.maxNodes) continue;
      const widest = fits.sort((a, b) => b - a).slice(0, bidder.maxNodes);
      const most = widest.reduce((sum, fit) => sum + fit, 0);
      if (most >= missing) continue;
      const message = `${gang.title}: ${missing}${name} together, an offer has ${bidder.maxNodes} slices and ${most} fit on so many nodes; make it fewer and larger ones, or use a Builtin framework`;
      return { reason: "gang-too-wide", message };
    }
    return this.#moreThanThereIs(gang, parts);
  }

  /** Several shapes may each fit, and not all of them. */
  #moreThanThereIs(gang: Gang, parts: readonly Part[]): Explanation | undefined {
    if (parts.length < 2) return undefined;
    const sum = sumOf(parts, this.#state.resources.width);
    const nodes = new Set<number>();
    for (const { task } of parts) for (const node of task.shape!.where.admits) nodes.add(node);
    const all = this.#allOf(nodes);
    const resource = sum.findIndex((amount, r) => amount > all[r]!);
    if (resource < 0) return undefined;
    const name = this.#state.resources.names[resource]!;
    const text = (amount: number) => formatQuantity(amount, unitOf(name));
    const message = `${gang.title}: ${name} ${text(sum[resource]!)} together, the nodes it may use have ${text(all[resource]!)}; add nodes, or ask for less`;
    return { reason: "gang-too-large", message };
  }

  #allOf(nodes: Iterable<number>): Vector {
    const { total, width } = this.#state.nodes;
    const sum = new Float64Array(width);
    for (const node of nodes) for (let r = 0; r < width; r++) sum[r]! += total[node * width + r]!;
    return sum;
  }

  #whenEmpty(node: number, request: Vector): number {
    const { total, width } = this.#state.nodes;
    let fit = Number.POSITIVE_INFINITY;
    for (let r = 0; r < request.length; r++) {
      if (request[r]! > 0) fit = Math.min(fit, Math.floor(total[node * width + r]! / request[r]!));
    }
    return fit;
  }
}

function sumOf(parts: readonly Part[], width: number): Vector {
  const sum = new Float64Array(width);
  for (const { task, missing } of parts) add(sum, task.shape!.request, missing);
  return sum;
}
