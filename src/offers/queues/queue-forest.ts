import { exactText } from "../explain/wording.ts";
import type { QueueFacts } from "./queue-facts.ts";

type Sum = Map<string, number>;

/**
 * Queues that are in force together, by name, none of which contradicts the others: each parent is in force, nobody is
 * below itself, and what the children of a queue are guaranteed adds up to no more than it states itself, nor than its
 * limit. A queue that states no guarantee has the sum of its children's. Sums are kept along the way up, so that to ask
 * or to add costs no more than the depth of the tree.
 */
export class QueueForest {
  readonly #queues = new Map<string, QueueFacts>();
  /** Queue -> what its children are guaranteed. */
  readonly #below = new Map<string, Sum>();
  /** What is declared, in force or not. */
  readonly #declared: (name: string) => QueueFacts | undefined;

  constructor(declared: (name: string) => QueueFacts | undefined) {
    this.#declared = declared;
  }

  get(name: string): QueueFacts | undefined {
    return this.#queues.get(name);
  }

  /** In force from now on, in the place of what was. Only what has no problem. */
  put(queue: QueueFacts): void {
    this.#take(queue.name);
    this.#queues.set(queue.name, queue);
    this.#add(queue.parent, this.#guaranteed(queue), 1);
  }

  /** What the queue would contradict, in the place of what is in force of it, and what to do; undefined: nothing. */
  problemOf(queue: QueueFacts): string | undefined {
    if (queue.invalid !== undefined) return queue.invalid;
    return this.#ownProblem(queue) ?? this.#problemOfPlace(queue) ?? this.#problemOfSums(queue);
  }

  #ownProblem({ guarantee, limit }: QueueFacts): string | undefined {
    for (const [resource, amount] of Object.entries(guarantee)) {
      const most = limit[resource] as number | undefined;
      if (most === undefined || amount <= most) continue;
      const [due, bound] = [exactText({ [resource]: amount }), exactText({ [resource]: most })];
      return `its guarantee of ${due} is above its limit of ${bound}: lower the guarantee or raise the limit`;
    }
    return undefined;
  }

  #problemOfPlace({ name, parent }: QueueFacts): string | undefined {
    if (parent === undefined) return undefined;
    const path = [name];
    const seen = new Set<string>();
    for (let at: string | undefined = parent; at !== undefined && !seen.has(at); ) {
      seen.add(at);
      path.push(at);
      if (at === name) {
        return `it would be below itself (${path.slice(0, 8).join(", ")}): correct the parent of one of these queues`;
      }
      at = (this.#queues.get(at) ?? this.#declared(at))?.parent;
    }
    if (this.#queues.has(parent)) return undefined;
    return this.#declared(parent) === undefined
      ? `its parent ${parent} does not exist: create that queue or correct spec.parent`
      : `its parent ${parent} is not in force: the condition Accepted of that queue says why`;
  }

  /** Tried out, and taken back. */
  #problemOfSums(queue: QueueFacts): string | undefined {
    const before = this.#queues.get(queue.name);
    this.put(queue);
    const problem = this.#excess(queue);
    this.#take(queue.name);
    if (before !== undefined) this.put(before);
    return problem;
  }

  /** The first queue from this one up whose children are guaranteed more than it can give them. */
  #excess(queue: QueueFacts): string | undefined {
    const own = this.#guaranteed(queue);
    for (let at: QueueFacts | undefined = queue; at !== undefined; ) {
      const states = statesGuarantee(at);
      for (const [resource, sum] of this.#below.get(at.name) ?? []) {
        const most = states ? (at.guarantee[resource] ?? 0) : (at.limit[resource] as number | undefined);
        if (most === undefined || sum <= most) continue;
        const [bound, total] = [exactText({ [resource]: most }), exactText({ [resource]: sum })];
        const what = states ? "guarantee" : "limit";
        if (at === queue) {
          return `the queues below it are guaranteed ${total}, above its ${what} of ${bound}: raise that or lower theirs`;
        }
        const left = exactText({ [resource]: most - (sum - (own.get(resource) ?? 0)) });
        return (
          `with it, the queues below ${at.name} would be guaranteed ${total}, above the ${what} of ${at.name}, which is ` +
          `${bound}: ${left} are left; guarantee no more here, less to others, or raise that ${what}`
        );
      }
      at = at.parent === undefined ? undefined : this.#queues.get(at.parent);
    }
    return undefined;
  }

  #take(name: string): void {
    const queue = this.#queues.get(name);
    if (queue === undefined) return;
    this.#add(queue.parent, this.#guaranteed(queue), -1);
    this.#queues.delete(name);
  }

  /** Stated, or the sum of its children's. */
  #guaranteed(queue: QueueFacts): Sum {
    if (statesGuarantee(queue)) return new Map(Object.entries(queue.guarantee));
    return new Map(this.#below.get(queue.name));
  }

  /** The sum of a queue's children has changed, and with it what is guaranteed to those above that state nothing. */
  #add(parent: string | undefined, amounts: Sum, sign: 1 | -1): void {
    for (let name = parent; name !== undefined && amounts.size > 0; ) {
      let sum = this.#below.get(name);
      if (sum === undefined) {
        sum = new Map();
        this.#below.set(name, sum);
      }
      for (const [resource, amount] of amounts) sum.set(resource, (sum.get(resource) ?? 0) + sign * amount);
      const queue = this.#queues.get(name);
      if (queue === undefined || statesGuarantee(queue)) return;
      name = queue.parent;
    }
  }
}

const statesGuarantee = ({ guarantee }: QueueFacts): boolean => Object.keys(guarantee).length > 0;
