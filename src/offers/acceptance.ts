import type { Reason } from "./explain/reasons.ts";
import { gangsOf } from "./gangs/gang-answers.ts";
import type { Claim } from "./ledger.ts";
import type { Answer, LaunchOutcome } from "./messages.ts";
import type { SpreadCounts } from "./nodes/spread.ts";
import { type Refusal, refuse, type Wish } from "./refusal.ts";
import type { Vector } from "./resources.ts";
import type { State } from "./state.ts";
import { formatIndexes } from "./structures/indexes.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** Why a wish did not get all it asked for. */
export interface Loss {
  readonly reason: Reason;
  readonly message: string;
}

/** What came of wishes: the claims that stand for each, and who lost. */
export interface Raced {
  readonly claims: readonly (readonly Claim[])[];
  readonly lost: ReadonlyMap<Wish, Loss>;
}

/** From checked wishes to claims and launches. */
export class Acceptance {
  readonly #state: State;
  readonly #tasks: Tasks;

  constructor(state: State, tasks: Tasks) {
    this.#state = state;
    this.#tasks = tasks;
  }

  /** Claims for the next ready indexes of each wish, no index twice. */
  claims(wishes: readonly Wish[]): Claim[][] {
    const taken = new Map<Wish["task"], Iterator<number>>();
    return wishes.map(({ task, slice, launch }) => {
      const indexes = taken.get(task) ?? task.readyIndexes();
      taken.set(task, indexes);
      return Array.from({ length: launch.count }, () =>
        this.#tasks.claim(task, indexes.next().value as number, slice.node),
      );
    });
  }

  /** The claims stand: starts the instances, labelled with the offer's UID and their launch's place in the answer. */
  launch(wishes: readonly Wish[], { claims, lost }: Raced, label: (wish: Wish) => string): LaunchOutcome[] {
    const started = claims.map((own) => own.map(indexOf));
    this.#tasks.gangs.grant(gangsOf(wishes.filter((_, i) => started[i]!.length > 0)), () => {
      wishes.forEach((wish, i) => {
        for (const index of started[i]!) this.#tasks.start(wish.task, index, wish.slice.node, label(wish));
      });
    });
    return wishes.map((wish, i) => {
      const indexes = started[i]!;
      this.#state.framework(wish.task.facts.framework).claimed(wish.slice.node, indexes.length);
      const refused = lost.get(wish);
      return {
        task: wish.launch.task,
        slice: wish.launch.slice,
        indexes: formatIndexes(indexes),
        ...(refused === undefined ? {} : { refused }),
      };
    });
  }

  /** Do all instances together keep to their spread? Those that are spread together count together. */
  spreadRefusal(wishes: readonly Wish[], answer: Answer): Refusal | undefined {
    const nodes = new Map<SpreadCounts, number[]>();
    for (const { task, launch, slice } of wishes) {
      for (const counts of new Set(task.shape?.spread.map((group) => group.counts))) {
        const there = nodes.get(counts) ?? [];
        nodes.set(counts, there);
        for (let n = 0; n < launch.count; n++) there.push(slice.node);
      }
    }
    for (const { task, launch, slice } of wishes) {
      const group = task.shape?.spread.find((spread) => !spread.admits(slice.node, nodes.get(spread.counts)!));
      if (group !== undefined) return refuse("constraint", `spread: ${group.describe()}`, answer, launch);
    }
    return undefined;
  }
}

function indexOf({ id }: Claim): number {
  return Number(id.slice(id.lastIndexOf("/") + 1));
}

/** The sum of vectors, `width` wide. */
export function sumOf(parts: Iterable<{ readonly vector: Vector }>, width: number): Vector {
  const sum = new Float64Array(width);
  for (const { vector } of parts) for (let r = 0; r < vector.length; r++) sum[r]! += vector[r]!;
  return sum;
}
