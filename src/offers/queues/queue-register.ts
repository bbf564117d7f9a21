import type { QueueFacts, QueueRecord } from "./queue-facts.ts";
import { QueueForest } from "./queue-forest.ts";

/** A queue as it was declared last, and what of it is in force. */
export interface Standing {
  readonly declared: QueueFacts;
  /** What was in force last. It may be what is declared. */
  readonly lastGood: QueueFacts | undefined;
  /** What was in force last is so now. */
  readonly inForce: boolean;
  /** Why what is declared is not in force. */
  readonly problem: string | undefined;
}

interface Entry {
  declared: QueueFacts;
  /** As recorded by an earlier term, until this one decides. */
  lastGood: QueueFacts | undefined;
  /** What earlier terms have left; looked at once. */
  readonly wasInForce: boolean;
}

/**
 * Which of all declared queues are in force, so that they never contradict each other.
 *
 * What is in force stays so until another declaration of the same queue can take its place, or it or a queue above it is
 * deleted: so a contradiction is the fault of whoever comes later. Whatever is not in force is tried again with each change of
 * any queue; of several at once, that of the older object first, then by name.
 *
 * A new term begins with what was in force according to the records, and decides when all queues have been observed. What it
 * decides before is for the time being.
 */
export class QueueRegister {
  readonly #entries = new Map<string, Entry>();
  readonly #standings = new Map<string, Standing>();
  #forest = this.#emptyForest();
  #open = false;

  get(name: string): Standing | undefined {
    return this.#standings.get(name);
  }

  /**
   * Returns the queues of which something has changed by it.
   *
   * @param record what an earlier term has left in the queue's status; undefined: nothing, or it is known already
   */
  observe(declared: QueueFacts, record: QueueRecord | undefined): string[] {
    const known = this.#entries.get(declared.name);
    if (known === undefined) {
      const entry = { declared, lastGood: record?.lastGood, wasInForce: record?.inForce === true };
      this.#entries.set(declared.name, entry);
    } else {
      known.declared = declared;
    }
    return this.#decide();
  }

  /** Returns the other queues of which something has changed by it. */
  gone(name: string): string[] {
    const before = this.#forest;
    this.#entries.delete(name);
    this.#standings.delete(name);
    this.#keep((other) => before.get(other));
    return this.#decide();
  }

  /** All queues that there are have been observed. Returns those of which something has changed by it. */
  open(): string[] {
    this.#open = true;
    this.#keep((name) => {
      const { lastGood, wasInForce } = this.#entries.get(name)!;
      return wasInForce ? lastGood : undefined;
    });
    return this.#decide();
  }

  /** Begins again with what is in force by then. */
  #keep(inForce: (name: string) => QueueFacts | undefined): void {
    this.#forest = this.#emptyForest();
    while (this.#admit(({ declared }) => inForce(declared.name)));
  }

  #decide(): string[] {
    // One change may make room for another. First those that were in force once and are not now.
    const missing = ({ declared, lastGood }: Entry) => (this.#forest.get(declared.name) ? undefined : lastGood);
    while (this.#admit(missing) || this.#admit(({ declared }) => declared));
    return [...this.#entries].flatMap(([name, entry]) => {
      const standing = this.#standingOf(entry);
      const before = this.#standings.get(name);
      this.#standings.set(name, standing);
      if (this.#open) entry.lastGood = standing.lastGood;
      return before !== undefined && sameStanding(before, standing) ? [] : [name];
    });
  }

  /** Puts in force what is said of each queue, if that is another and contradicts nothing. True if there was any. */
  #admit(next: (entry: Entry) => QueueFacts | undefined): boolean {
    const candidates: QueueFacts[] = [];
    for (const entry of this.#entries.values()) {
      const queue = next(entry);
      if (queue !== undefined && queue !== this.#forest.get(queue.name)) candidates.push(queue);
    }
    let admitted = false;
    for (const queue of candidates.sort(bySeniority)) {
      if (this.#forest.problemOf(queue) !== undefined) continue;
      this.#forest.put(queue);
      admitted = true;
    }
    return admitted;
  }

  #standingOf({ declared, lastGood }: Entry): Standing {
    const current = this.#forest.get(declared.name);
    return {
      declared,
      lastGood: current ?? lastGood,
      inForce: current !== undefined,
      problem: current === declared ? undefined : this.#forest.problemOf(declared),
    };
  }

  #emptyForest(): QueueForest {
    return new QueueForest((name) => this.#entries.get(name)?.declared);
  }
}

function sameStanding(a: Standing, b: Standing): boolean {
  return a.lastGood === b.lastGood && a.inForce === b.inForce && a.problem === b.problem;
}

function bySeniority(a: QueueFacts, b: QueueFacts): number {
  const age = (a.createdAtMs ?? 0) - (b.createdAtMs ?? 0);
  if (age !== 0) return age;
  return a.name < b.name ? -1 : 1;
}
