import type { Shape } from "../nodes/shapes.ts";
import type { SpreadCounts } from "../nodes/spread.ts";
import type { Vector } from "../resources.ts";
import type { Bidder } from "../round.ts";
import type { State } from "../state.ts";
import { lowestBit } from "../structures/bitset.ts";
import type { Task } from "../tasks/task.ts";
import type { Part } from "./gang.ts";

/** So many instances of the Task on this node. */
export interface Place {
  readonly task: Task;
  readonly node: number;
  readonly count: number;
}

export interface Found {
  /** Where as many as could be placed would go. */
  readonly places: readonly Place[];
  /** How many that are, and how many were asked for. */
  readonly placed: number;
  readonly wanted: number;
  /** What they take together: more than they ask for where a slice must hold more. */
  readonly taken: Vector;
  /** What they would leave of the nodes. */
  readonly left: ReadonlyMap<number, Vector>;
  /** More would fit, on more nodes than the bidder may use. */
  readonly tooWide: boolean;
}

/** What a search may use besides what is free: what is held for the same start, by node. */
export type OwnRoom = ReadonlyMap<number, Vector>;

/** One search: what it has taken of nodes so far. Nothing outside it is changed. */
interface Trial {
  readonly bidder: Bidder;
  readonly own: OwnRoom;
  readonly maxNodes: number;
  /** Node -> what is left there, of those on which it has placed something. */
  readonly left: Map<number, Vector>;
  readonly places: Place[];
  readonly taken: Vector;
  /** Whom the instances placed so far are counted with, to be taken out again. */
  readonly joined: [SpreadCounts, string][];
  tooWide: boolean;
}

/**
 * Looks for places for all instances of a start, as if they were taken one after the other. Places are only written
 * down, so that a search that fails has nothing to undo but what it told the counts of spreads. A first fit: it may miss
 * a way to place different shapes that a search through all ways would find.
 */
export class GangSearch {
  readonly #state: State;
  /** Shape -> more of it than this do not fit, as far as seen in this round: between gains free only falls. */
  readonly #most = new Map<Shape, number>();

  constructor(state: State) {
    this.#state = state;
  }

  /** A round begins: there may be more room than before. */
  begin(): void {
    this.#most.clear();
  }

  /** Could it be, as far as sums tell? Costs next to nothing. */
  mayFit(parts: readonly Part[], own: OwnRoom): boolean {
    const { openFree, width } = this.#state.nodes;
    for (let r = 0; r < width; r++) {
      let need = 0;
      for (const { task, missing } of parts) need += missing * (task.shape!.request[r] ?? 0);
      if (need === 0) continue;
      let have = openFree[r]!;
      for (const vector of own.values()) have += vector[r] ?? 0;
      if (need > have) return false;
    }
    return true;
  }

  /** `full`: goes on when not all can be placed, to tell how many could. */
  find(bidder: Bidder, parts: readonly Part[], own: OwnRoom, full = false): Found {
    const wanted = parts.reduce((sum, { missing }) => sum + missing, 0);
    const inOrder = this.#largestFirst(parts);
    const first = this.#try(bidder, inOrder, own, full, false);
    if (!first.tooWide) return { ...first, wanted };
    // Whatever holds most of them first: of one shape, nothing needs fewer nodes.
    return { ...this.#try(bidder, inOrder, own, full, true), wanted };
  }

  #try(bidder: Bidder, parts: readonly Part[], own: OwnRoom, full: boolean, widest: boolean): Omit<Found, "wanted"> {
    const trial: Trial = {
      bidder,
      own,
      maxNodes: bidder.maxNodes,
      left: new Map(),
      places: [],
      taken: new Float64Array(this.#state.resources.width),
      joined: [],
      tooWide: false,
    };
    let placed = 0;
    for (const part of parts) {
      const got = this.#place(trial, part, widest);
      placed += got;
      if (got < part.missing && !full) break;
    }
    for (const [counts, id] of trial.joined) counts.leave(id);
    const { places, taken, left, tooWide } = trial;
    return { places, placed, taken, left, tooWide };
  }

  #place(trial: Trial, { task, missing }: Part, widest: boolean): number {
    const shape = task.shape!;
    const { bidder, own } = trial;
    const isPlain =
      own.size === 0 &&
      bidder.refused === undefined &&
      bidder.shown === undefined &&
      bidder.first(shape) === shape.request;
    if (isPlain && missing > (this.#most.get(shape) ?? Number.POSITIVE_INFINITY)) return 0;
    const isFirst = trial.left.size === 0;
    // Where it is spread, one elsewhere may open what is held for the next.
    const rest = whileLess(missing, own.size > 0 && shape.spread.length > 0, (before) => {
      // What is held for it is there for nothing else.
      const lacking = this.#inOwn(trial, task, before);
      return widest ? this.#widest(trial, task, lacking) : this.#inOrder(trial, task, lacking);
    });
    if (rest > 0 && isPlain && isFirst && shape.spread.length === 0 && !trial.tooWide) {
      this.#most.set(shape, missing - rest);
    }
    return missing - rest;
  }

  /** Nodes on which room is held for the start. Returns how many are left over. */
  #inOwn(trial: Trial, task: Task, count: number): number {
    const isSpread = task.shape!.spread.length > 0;
    return whileLess(count, isSpread, (before) => {
      let rest = before;
      for (const node of trial.own.keys()) rest -= this.#take(trial, task, node, isSpread ? Math.min(rest, 1) : rest);
      return rest;
    });
  }

  /** Nodes in the order of the bidder's placement. Returns how many are left over. */
  #inOrder(trial: Trial, task: Task, count: number): number {
    const { levels } = trial.bidder;
    // One at a time where each changes where the next may go: for equal nodes in turn, and for spreads.
    const step = levels?.placement.rotate === true || task.shape!.spread.length > 0 ? 1 : count;
    levels?.refresh();
    return whileLess(count, step === 1, (before) => {
      if (levels === undefined) return this.#scan(trial, task, undefined, before, step);
      let rest = before;
      for (const [level, { words }] of levels.sets.entries()) {
        if (levels.sizes[level]! > 0) rest = this.#scan(trial, task, words, rest, step);
      }
      return rest;
    });
  }

  #scan(trial: Trial, task: Task, within: Int32Array | undefined, count: number, step: number): number {
    const { mayFit, where, size } = task.shape!;
    const { roomy } = size;
    let rest = count;
    for (let w = roomy.summary.next(0); w !== -1 && rest > 0; w = roomy.summary.next(w + 1)) {
      let word = roomy.words[w]! & (mayFit.words[w] ?? 0) & (where.admits.words[w] ?? 0);
      if (within !== undefined) word &= within[w] ?? 0;
      for (; word !== 0 && rest > 0; word &= word - 1) {
        rest -= this.#take(trial, task, (w << 5) + lowestBit(word), Math.min(rest, step));
      }
    }
    return rest;
  }

  /** Nodes on which most of them fit first. Returns how many are left over. */
  #widest(trial: Trial, task: Task, count: number): number {
    const { where, spread } = task.shape!;
    const nodes: { node: number; fit: number }[] = [];
    for (const node of where.admits) {
      const fit = this.#fit(trial, task, node, count);
      if (fit > 0) nodes.push({ node, fit });
    }
    nodes.sort((a, b) => b.fit - a.fit);
    const isSpread = spread.length > 0;
    return whileLess(count, isSpread, (before) => {
      let rest = before;
      for (const { node } of nodes) {
        if (rest === 0) break;
        rest -= this.#take(trial, task, node, isSpread ? 1 : rest);
      }
      return rest;
    });
  }

  /** Places up to `most` instances on the node. Returns how many. */
  #take(trial: Trial, task: Task, node: number, most: number): number {
    const shape = task.shape!;
    if (!shape.where.admits.has(node) || trial.bidder.refused?.has(node) === true) return 0;
    if (shape.spread.some((group) => !group.allowed.has(node))) return 0;
    const count = this.#fit(trial, task, node, most);
    if (count === 0) {
      const untouched = !trial.left.has(node) && !trial.own.has(node);
      if (untouched && !this.#state.nodes.fits(node, shape.request)) this.#state.shapes.failed(shape, node);
      return 0;
    }
    const isNew = !trial.left.has(node);
    if (isNew && trial.left.size >= trial.maxNodes) {
      trial.tooWide = true;
      return 0;
    }
    const left = this.#left(trial, node);
    const first = isNew ? trial.bidder.first(shape) : shape.request;
    for (let r = 0; r < left.length; r++) {
      const more = (first[r] ?? 0) + (count - 1) * (shape.request[r] ?? 0);
      left[r]! -= more;
      trial.taken[r]! += more;
    }
    trial.left.set(node, left);
    trial.places.push({ task, node, count });
    for (const { counts } of shape.spread) {
      for (let n = 0; n < count; n++) {
        const id = `trial/${task.uid}/${trial.places.length}/${n}`;
        counts.join(id, node);
        trial.joined.push([counts, id]);
      }
    }
    return count;
  }

  /** How many instances fit on the node, up to `most`. */
  #fit(trial: Trial, task: Task, node: number, most: number): number {
    const shape = task.shape!;
    const isNew = !trial.left.has(node);
    const left = isNew ? this.#left(trial, node) : trial.left.get(node)!;
    const first = isNew ? trial.bidder.first(shape) : shape.request;
    let fit = most;
    for (let r = 0; r < left.length; r++) {
      const each = shape.request[r] ?? 0;
      const rest = left[r]! - (first[r] ?? 0);
      if (rest < 0) return 0;
      if (each > 0) fit = Math.min(fit, 1 + Math.floor(rest / each));
    }
    return fit;
  }

  #left({ left, own, bidder }: Trial, node: number): Vector {
    const known = left.get(node);
    if (known !== undefined) return known;
    const vector = this.#state.nodes.freeVector(node);
    const [held, shown] = [own.get(node), bidder.shownOn(node)];
    for (let r = 0; r < vector.length; r++) vector[r]! += (held?.[r] ?? 0) - (shown?.[r] ?? 0);
    return vector;
  }

  /** Large ones first: small ones find a place among them more often than the other way round. */
  #largestFirst(parts: readonly Part[]): readonly Part[] {
    const { openTotal } = this.#state.nodes;
    const size = ({ task }: Part) =>
      task.shape!.request.reduce((most, amount, r) => Math.max(most, amount / Math.max(1, openTotal[r] ?? 0)), 0);
    return [...parts].sort((a, b) => size(b) - size(a));
  }
}

/** How many are left over of `count`: by one pass or, where what is placed may open places for more, as long as each places some. */
function whileLess(count: number, repeats: boolean, pass: (before: number) => number): number {
  let [before, rest] = [count, pass(count)];
  while (repeats && rest < before) [before, rest] = [rest, pass(rest)];
  return rest;
}
