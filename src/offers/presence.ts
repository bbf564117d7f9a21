import { clockTime } from "./explain/wording.ts";
import type { Framework } from "./framework.ts";
import type { Key } from "./messages.ts";
import type { Offers } from "./offers.ts";
import type { LeaseFacts } from "./program-facts.ts";
import type { State } from "./state.ts";
import type { Tasks } from "./tasks/tasks.ts";

/** Whether a framework's program is there, by its Leases. Times in milliseconds. */
export interface Presence {
  readonly state: "connected" | "disconnected" | "abandoned";
  readonly message: string;
  /** Its tasks are kept for it until then; Infinity for ever. */
  readonly keptUntilMs: number;
}

/** What is known of a framework's program. */
interface Program {
  readonly leases: Map<Key, LeaseFacts>;
  /** Of the program that Proffer starts itself: `awaySinceMs` while its pod does not run. */
  pod: { readonly awaySinceMs: number | undefined } | undefined;
  /** The end of a Lease of which the API server itself has said that it was not renewed. */
  confirmedEndMs: number | undefined;
  /** The same end, asked about and not answered yet. */
  askedEndMs: number | undefined;
  /** The earliest alarm that is set. */
  alarmMs: number;
}

/** The sign of life that counts: how long it is good for, and what to say of it. */
interface Sign {
  readonly endsMs: number;
  readonly durationMs: number;
  readonly alive: string;
  readonly ended: string;
}

/** A program whose pod does not run is back within this time, as far as that is up to its leader. */
const POD_GRACE_MS = 30_000;

/**
 * The programs of Offers frameworks: who is there, who is missed, and what becomes of the tasks of those who stay away.
 *
 * A program is there for as long as one of its Leases is renewed; one that Proffer starts itself, only while its pod runs.
 * A framework of which nothing is known is never called away: silence costs it its turn, as everybody. When a Lease or the
 * pod has come to its end, nothing more is offered and what is open is taken back; from then on
 * the failover time runs. Nothing of this is remembered from term to term: the Leases tell all of it again.
 *
 * To kill is the one step that cannot be taken back. So nobody does it on the word of a clock or a cache: the leader has
 * watched the Lease for one whole duration of it, and asks the API server itself before.
 */
export class Programs {
  readonly #state: State;
  readonly #offers: Offers;
  readonly #tasks: Tasks;
  readonly #programs = new Map<Key, Program>();
  /** Lease -> framework. */
  readonly #frameworks = new Map<Key, Key>();
  #openedMs = Number.POSITIVE_INFINITY;

  constructor(state: State, offers: Offers, tasks: Tasks) {
    this.#state = state;
    this.#offers = offers;
    this.#tasks = tasks;
  }

  observe(lease: LeaseFacts): void {
    const before = this.#frameworks.get(lease.key);
    if (before !== undefined && before !== lease.framework) this.gone(lease.key);
    this.#frameworks.set(lease.key, lease.framework);
    this.#program(lease.framework).leases.set(lease.key, lease);
    this.judge(lease.framework);
  }

  /** Without a Lease there is nothing to miss. */
  gone(key: Key): void {
    const framework = this.#frameworks.get(key);
    if (framework === undefined) return;
    this.#frameworks.delete(key);
    const program = this.#program(framework);
    program.leases.delete(key);
    this.#forgetIfEmpty(framework, program);
    this.judge(framework);
  }

  /** The pod of the program that Proffer starts runs, or has not since then. */
  podObserved(framework: Key, awaySinceMs: number | undefined): void {
    this.#program(framework).pod = { awaySinceMs };
    this.judge(framework);
  }

  /** Proffer starts none for it. */
  podGone(framework: Key): void {
    const program = this.#program(framework);
    program.pod = undefined;
    this.#forgetIfEmpty(framework, program);
    this.judge(framework);
  }

  /** All facts are in. */
  opened(): void {
    this.#openedMs = this.#state.nowMs;
    for (const key of this.#programs.keys()) this.judge(key);
  }

  /** A time has come at which its program may be missed. */
  missed(key: Key): void {
    const program = this.#programs.get(key);
    if (program === undefined) return;
    program.alarmMs = Number.POSITIVE_INFINITY;
    this.judge(key);
  }

  /** The API server itself knows of no renewal that we have not been told of. */
  confirmed(key: Key): void {
    const program = this.#programs.get(key);
    if (program === undefined) return;
    program.confirmedEndMs = program.askedEndMs;
    program.askedEndMs = undefined;
    this.judge(key);
  }

  /** Decides anew, from the Leases and the time as they are. */
  judge(key: Key): void {
    const framework = this.#state.frameworks.get(key);
    if (framework?.facts === undefined) return;
    const program = framework.facts.scheduler === "Offers" ? this.#programs.get(key) : undefined;
    const sign = program && signOf(program);
    if (program === undefined || sign === undefined) this.#take(framework, undefined);
    else this.#take(framework, this.#presence(framework, program, sign));
  }

  #presence({ key, facts }: Framework, program: Program, sign: Sign): Presence {
    const { nowMs } = this.#state;
    const { timeoutMs = Number.POSITIVE_INFINITY, policy = "Orphan" } = facts?.failover ?? {};
    const { endsMs, durationMs } = sign;
    const keptUntilMs = endsMs + timeoutMs;
    if (endsMs > nowMs) {
      this.#alarm(key, program, endsMs);
      return { state: "connected", message: sign.alive, keptUntilMs };
    }
    // Whose clock is wrong, or who could not reach the API server, is seen to renew within one duration.
    const dueMs = Math.max(keptUntilMs, this.#openedMs + durationMs);
    const isAbandoned = program.confirmedEndMs === endsMs && dueMs <= nowMs;
    if (dueMs > nowMs) this.#alarm(key, program, dueMs);
    else if (!isAbandoned) this.#ask(key, program, endsMs);
    const fate = fateText(keptUntilMs, timeoutMs, isAbandoned, policy);
    const message = `${sign.ended} ${clockTime(endsMs)}; ${fate}`;
    return { state: isAbandoned ? "abandoned" : "disconnected", message, keptUntilMs };
  }

  #ask(key: Key, program: Program, endMs: number): void {
    if (program.askedEndMs === endMs) return;
    program.askedEndMs = endMs;
    this.#state.emit({ type: "confirm-absence", framework: key });
  }

  #take(framework: Framework, presence: Presence | undefined): void {
    const before = framework.presence;
    const [was, is] = [before?.state ?? "connected", presence?.state ?? "connected"];
    framework.presence = presence;
    if (before?.message !== presence?.message) this.#state.frameworkChanged(framework.key);
    if (is !== was) this.#turned(framework, was, is);
    if (is === "abandoned") this.#abandon(framework, presence!);
  }

  #turned(framework: Framework, was: Presence["state"], is: Presence["state"]): void {
    this.#state.dirty = true;
    const { message = "nobody can tell whether its program is there" } = framework.presence ?? {};
    if (is === "connected") {
      // Who comes back knows nothing of what was refused.
      this.#state.refusals.clear(framework);
      this.#tell(framework, "Normal", "connected", message);
    } else if (was === "connected") {
      this.#offers.rescindAllOf(framework, { reason: "disconnected", message });
      this.#tell(framework, "Warning", "disconnected", message);
    } else if (is === "abandoned" && framework.presence!.keptUntilMs > this.#openedMs) {
      this.#tell(framework, "Warning", "failover-timeout", message);
    }
  }

  /** What was created after the time was over is left alone: somebody has plans with it. */
  #abandon(framework: Framework, { keptUntilMs, message }: Presence): void {
    if (framework.facts?.failover?.policy !== "Kill") return;
    for (const task of framework.tasks) {
      if (task.facts.createdAtMs < keptUntilMs) this.#tasks.abandon(task, message);
    }
  }

  /** What a new leader finds is no news. */
  #tell({ key, facts }: Framework, severity: "Normal" | "Warning", reason: string, note: string): void {
    if (!this.#state.opened || facts === undefined) return;
    this.#state.emit({ type: "event", about: { kind: "Framework", key, uid: facts.uid }, severity, reason, note });
  }

  /** One alarm is enough, however often a Lease is renewed: when it rings, the next is set. */
  #alarm(key: Key, program: Program, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY || program.alarmMs <= atMs) return;
    program.alarmMs = atMs;
    this.#state.timers.set(atMs, { type: "program-missed", framework: key });
  }

  #forgetIfEmpty(key: Key, { leases, pod }: Program): void {
    if (leases.size === 0 && pod === undefined) this.#programs.delete(key);
  }

  #program(key: Key): Program {
    let program = this.#programs.get(key);
    if (program === undefined) {
      const never = Number.POSITIVE_INFINITY;
      program = { leases: new Map(), pod: undefined, confirmedEndMs: undefined, askedEndMs: undefined, alarmMs: never };
      this.#programs.set(key, program);
    }
    return program;
  }
}

function endOf({ renewedAtMs, durationMs, released }: LeaseFacts): number {
  return released ? renewedAtMs : renewedAtMs + durationMs;
}

function signOf({ leases, pod }: Program): Sign | undefined {
  const lease = lastToEnd(leases.values());
  if (pod?.awaySinceMs !== undefined) {
    // Where the pod still starts or is gone, the Lease may have run out before.
    const endsMs = Math.min(pod.awaySinceMs, lease === undefined ? Number.POSITIVE_INFINITY : endOf(lease));
    return { endsMs, durationMs: POD_GRACE_MS, alive: "", ended: "its pod does not run since" };
  }
  if (lease !== undefined) {
    const ended = lease.released ? `Lease ${lease.key} was given back at` : `Lease ${lease.key} ran out at`;
    return { endsMs: endOf(lease), durationMs: lease.durationMs, alive: `Lease ${lease.key} is renewed`, ended };
  }
  if (pod === undefined) return undefined;
  return { endsMs: Number.POSITIVE_INFINITY, durationMs: POD_GRACE_MS, alive: "its pod runs", ended: "" };
}

/** The Lease that counts: a program may have several, or several copies of it one each. */
function lastToEnd(leases: Iterable<LeaseFacts>): LeaseFacts | undefined {
  let last: LeaseFacts | undefined;
  for (const lease of leases) {
    const later = last === undefined ? 1 : endOf(lease) - endOf(last) || (lease.key < last.key ? 1 : -1);
    if (later > 0) last = lease;
  }
  return last;
}

function fateText(keptUntilMs: number, timeoutMs: number, isAbandoned: boolean, policy: "Kill" | "Orphan"): string {
  if (keptUntilMs === Number.POSITIVE_INFINITY) return "its tasks are kept";
  // It may be days: a time of the day alone does not say which.
  const until = `until ${clockTime(keptUntilMs)} (failoverTimeoutSeconds ${Math.round(timeoutMs / 1_000)})`;
  if (!isAbandoned) return `its tasks are kept ${until}, then ${policy === "Kill" ? "killed" : "run to their ends"}`;
  return `its tasks were kept ${until}, ${policy === "Kill" ? "and killed" : "and run to their ends"}`;
}
