import { strangerTo } from "../answer.ts";
import type { Answer } from "../messages.ts";
import type { Offer } from "../offer.ts";
import type { State } from "../state.ts";
import { parseIndexes } from "../structures/indexes.ts";
import type { Assignment } from "../tasks/assignment.ts";
import { type Instance, isLeaving } from "../tasks/instance.ts";
import type { Task } from "../tasks/task.ts";
import type { Clearing, Clearings } from "./clearings.ts";
import { Entitlement } from "./entitlement.ts";
import { type Notice, type Notices, pending } from "./notices.ts";
import { RoomSearch } from "./room-search.ts";
import { isOffer, type Victim, Victims } from "./victims.ts";

/** Answers to inverse offers: a framework that accepts chooses itself what it gives back. */
export class GivingBack {
  readonly #state: State;
  readonly #assignment: Assignment;
  readonly #clearings: Clearings;
  readonly #notices: Notices;

  constructor(state: State, assignment: Assignment, clearings: Clearings, notices: Notices) {
    this.#state = state;
    this.#assignment = assignment;
    this.#clearings = clearings;
    this.#notices = notices;
  }

  /** Its deadline stands, unless what is given makes the room that is asked for. Not before it is known what that is. */
  hear(notice: Notice, answer: Answer): void {
    const waiting = pending(notice);
    if (waiting.length === 0) return;
    const stranger = strangerTo(this.#state.frameworks.get(notice.framework), answer);
    if (stranger !== undefined) {
      notice.heard = "Refused";
      this.#tell(notice, stranger.message);
      return;
    }
    if (answer.decision === "Decline") {
      notice.heard = "Declined";
      return;
    }
    const given = this.#given(notice, answer);
    let served = 0;
    for (const clearing of waiting) if (this.#replan(notice, clearing, given)) served++;
    notice.heard = served === waiting.length ? "Accepted" : "Refused";
    if (served === waiting.length) return;
    const short = served === 0 ? "does not make" : `makes only a part (${served} of ${waiting.length}) of`;
    this.#tell(notice, `what it names ${short} the room that is asked for`);
  }

  /** Live instances of the claimant's that the answer names. */
  #given(notice: Notice, { release = [] }: Answer): Map<Task, Instance[]> {
    const namespace = notice.framework.slice(0, notice.framework.indexOf("/"));
    const given = new Map<Task, Instance[]>();
    for (const { task: name, indexes } of release) {
      const task = this.#state.tasksByKey.get(`${namespace}/${name}`);
      if (task === undefined || this.#assignment.claimant(task).name !== notice.claimant) continue;
      const named = parseIndexes(indexes, task.facts.instances);
      const live = [...task.live.values()].filter((instance) => named.has(instance.index) && !isLeaving(instance));
      given.set(task, [...new Set([...(given.get(task) ?? []), ...live])]);
    }
    return given;
  }

  /** The same room, wherever it is, from what is given and what others were asked for; as before where that is too little. */
  #replan(notice: Notice, clearing: Clearing, given: ReadonlyMap<Task, readonly Instance[]>): boolean {
    const { line, node, keptBack } = clearing;
    const [instances, victims, notices] = [
      clearing.holds.length,
      [...clearing.victims.values()],
      this.#notices.of(clearing),
    ];
    this.#clearings.dissolve(clearing);
    const made = this.#search(clearing, instances, this.#pool(notice, victims, given));
    const found = made.reduce((sum, { holds }) => sum + holds.length, 0) === instances;
    if (!found) {
      for (const part of made) this.#clearings.dissolve(part);
      const again = this.#clearings.place(line, { node, victims }, keptBack);
      for (let n = 1; n < instances && again !== undefined; n++) this.#clearings.extend(again, []);
      if (again !== undefined) for (const known of notices) this.#announce(known, again, clearing);
      return false;
    }
    for (const part of made) {
      const claimants = new Set([...part.victims.values()].map(({ claimant }) => claimant.name));
      for (const known of notices) {
        if (known === notice || claimants.has(known.claimant)) this.#announce(known, part, clearing);
      }
      notice.agreed.add(part);
    }
    return true;
  }

  /** In place of `before`: whoever has agreed to that gives nothing else now, and is not asked again. */
  #announce(notice: Notice, clearing: Clearing, before: Clearing): void {
    this.#notices.announce(notice, clearing);
    if (notice.agreed.has(before)) notice.agreed.add(clearing);
  }

  /** What may go: of the answering claimant what it gives, of others what was chosen of theirs. */
  #pool(notice: Notice, victims: readonly Victim[], given: ReadonlyMap<Task, readonly Instance[]>): Victims {
    const { taken } = this.#clearings;
    const all = new Map([...given].map(([task, instances]) => [task, instances.filter((part) => !taken.has(part))]));
    const offers = new Set<Offer>();
    for (const { of, part, claimant } of victims) {
      if (isOffer(of)) offers.add(of);
      else if (claimant.name !== notice.claimant) all.set(of, [...(all.get(of) ?? []), part as Instance]);
    }
    const pool = new Victims(this.#state, (task) => this.#assignment.claimant(task));
    for (const offer of offers) pool.addOffer(offer, taken);
    pool.addGiven(all);
    return pool;
  }

  #search({ line, keptBack }: Clearing, instances: number, pool: Victims): Clearing[] {
    const { where, spread } = line.shape;
    // Of a queue that is gone there are no clearings any more.
    const queue = line.claimant.parent!;
    const made: Clearing[] = [];
    const ahead = this.#clearings.ahead();
    for (const { vector, claimant } of pool.leaving()) ahead.shift(claimant.parent, vector, -1);
    const entitlement = new Entitlement(this.#state.tree, ahead, queue, line.request);
    const admits = (node: number) =>
      where.admits.has(node) && !spread.some((group) => !group.allowed.has(node)) && !this.#state.nodes.overfull(node);
    const want = { queue, request: line.request, entitlement, admits, keptBack, mayTake: () => true };
    const search = new RoomSearch(this.#state, ahead, pool, want, new Set());
    for (let n = 0; n < instances && entitlement.isCovered; n++) {
      const found = search.next();
      if (found === undefined) break;
      const known = found.shares ? made.findLast(({ node }) => node === found.node) : undefined;
      const clearing = known ?? this.#clearings.place(line, found, keptBack);
      if (clearing === undefined || (known !== undefined && !this.#clearings.extend(known, found.victims))) break;
      if (known === undefined) made.push(clearing);
      ahead.shift(queue, line.request, 1);
    }
    return made;
  }

  #tell({ framework: key, queue }: Notice, message: string): void {
    const facts = this.#state.frameworks.get(key)?.facts;
    if (facts === undefined) return;
    this.#state.emit({
      type: "event",
      about: { kind: "Framework", key, uid: facts.uid },
      severity: "Warning",
      reason: "answer-refused",
      note: `the answer to what queue ${queue} asks back: ${message}; the deadline stands`,
    });
  }
}
