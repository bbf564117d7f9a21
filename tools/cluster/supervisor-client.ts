/** The side of the supervisor that lives in the program using the cluster. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ProcessIdentity } from "./process-info.ts";
import type { ProcessSpec, SupervisorCommand, SupervisorMessage } from "./supervisor-protocol.ts";
import { sweepFolder } from "./sweep.ts";

interface Pending {
  resolve(pid: number | undefined): void;
  reject(error: Error): void;
}

/** Thrown when the supervisor is gone, so nothing can be asked of it any more. */
class SupervisorGone extends Error {}

export class Supervisor {
  readonly dir: string;
  readonly identity: ProcessIdentity;
  /** The pids of what runs now, by name. */
  readonly running = new Map<string, number>();
  /** Called for every process that ends, wanted or not. */
  onExit: (name: string, how: string) => void = () => {};
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #sequence = 0;

  private constructor(child: ChildProcess, dir: string, identity: ProcessIdentity) {
    this.#child = child;
    this.dir = dir;
    this.identity = identity;
    child.on("message", (message) => this.#receive(message as SupervisorMessage));
    child.once("exit", () => {
      for (const pending of this.#pending.values()) pending.reject(new SupervisorGone("the supervisor has ended"));
      this.#pending.clear();
    });
    this.#hold(false);
  }

  /** Starts a supervisor with an empty folder. It ends when this process does. */
  static async start(): Promise<Supervisor> {
    const child = fork(fileURLToPath(new URL("./supervisor.ts", import.meta.url)), [], {
      // A session of its own: Ctrl-C in a terminal must reach us alone, so that the children end in the right order.
      detached: true,
      // Options of this process (a debugger's port, a test runner's loader) are not for the supervisor.
      execArgv: [],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let complaints = "";
    child.stderr?.on("data", (data) => {
      complaints += data;
    });
    const ready = once(child, "message") as Promise<[SupervisorMessage]>;
    const ended = once(child, "exit").then(() => {
      throw new Error(`the cluster's supervisor ended while it was starting:\n${complaints}`);
    });
    const [message] = await Promise.race([ready, ended]);
    ended.catch(() => {}); // From here on the exit is watched by the client.
    if (message.type !== "ready") throw new Error(`the cluster's supervisor said ${message.type} first`);
    // A cluster that outlives us must not hold our standard error, or a pipe behind it, open.
    child.stderr?.destroy();
    return new Supervisor(child, message.dir, message.identity);
  }

  /** Starts a process and returns its pid. */
  async startProcess(spec: ProcessSpec): Promise<number> {
    const pid = await this.#ask({ op: "start", spec });
    if (pid === undefined) throw new Error(`${spec.name} has no pid`);
    this.running.set(spec.name, pid);
    return pid;
  }

  /** Ends a process and waits until it has. */
  async endProcess(name: string, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#ask({ op: "end", name, signal });
  }

  /** Lets the cluster outlive this process. */
  async detach(): Promise<void> {
    await this.#ask({ op: "detach" });
    this.#child.disconnect();
    this.#child.unref();
  }

  /** Ends all processes, last started first, and removes the folder. */
  async stop(): Promise<void> {
    try {
      await this.#ask({ op: "stop" });
    } catch (error) {
      if (!(error instanceof SupervisorGone)) throw error;
    }
    // Usually there is nothing left; there is when somebody killed the supervisor.
    await sweepFolder(this.dir);
  }

  async #ask(command: SupervisorCommand): Promise<number | undefined> {
    if (!this.#child.connected) throw new SupervisorGone("the supervisor has ended");
    const id = this.#sequence++;
    const answer = new Promise<number | undefined>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#hold(true);
    this.#child.send({ ...command, id }, (error) => {
      if (error !== null) this.#settle(id)?.reject(new SupervisorGone(error.message));
    });
    return answer;
  }

  #receive(message: SupervisorMessage): void {
    switch (message.type) {
      case "done":
        this.#settle(message.id)?.resolve(message.pid);
        break;
      case "failed":
        this.#settle(message.id)?.reject(new Error(message.error));
        break;
      case "exited":
        if (this.running.get(message.name) === message.pid) this.running.delete(message.name);
        this.onExit(message.name, message.how);
        break;
      case "ready":
        break;
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#hold(false);
    return pending;
  }

  /** A forgotten cluster must not keep a finished program alive; a question under way must. */
  #hold(on: boolean): void {
    if (on) {
      this.#child.ref();
      this.#child.channel?.ref();
    } else {
      this.#child.unref();
      this.#child.channel?.unref();
    }
  }
}
