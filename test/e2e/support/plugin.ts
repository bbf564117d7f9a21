/** `kubectl proffer`, as somebody with a kubeconfig types it: kubectl finds the bundled program on the PATH. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { delimiter, dirname } from "node:path";
import { buildPlugin } from "../../../tools/build.ts";
import { ensureKubectl } from "../../../tools/cluster/helm-kubectl.ts";
import { spawnTied } from "../../../tools/cluster/tie-to-life.ts";
import { eventually } from "./eventually.ts";

export interface Said {
  readonly code: number | null;
  /** Lines of standard output. */
  readonly out: readonly string[];
  /** Lines of standard error. */
  readonly notes: readonly string[];
}

export class Plugin {
  readonly #kubectl: string;
  readonly #path: string;

  private constructor(kubectl: string, path: string) {
    this.#kubectl = kubectl;
    this.#path = path;
  }

  static async build(folder: string): Promise<Plugin> {
    await buildPlugin(folder);
    const path = [folder, dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
    return new Plugin(await ensureKubectl(), path);
  }

  /** Starts it in a namespace. */
  start(kubeconfig: string, namespace: string, ...args: readonly string[]): PluginRun {
    const [command = "", ...rest] = args;
    const all = ["proffer", command, "--kubeconfig", kubeconfig, "--namespace", namespace, ...rest];
    return new PluginRun(spawnTied(this.#kubectl, all, { env: { ...process.env, PATH: this.#path } }));
  }

  /** Runs it to its end. */
  run(kubeconfig: string, namespace: string, ...args: readonly string[]): Promise<Said> {
    return this.start(kubeconfig, namespace, ...args).ended;
  }
}

export class PluginRun {
  readonly ended: Promise<Said>;
  readonly #child: ChildProcess;
  #out = "";
  #notes = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      this.#out += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      this.#notes += text;
    });
    this.ended = once(child, "close").then(([code]) => ({ code, out: this.out, notes: this.notes }));
  }

  get out(): string[] {
    return linesOf(this.#out);
  }

  get notes(): string[] {
    return linesOf(this.#notes);
  }

  /** Waits until such a line has been said, to either side. */
  async says(line: string | RegExp): Promise<void> {
    const matches = (one: string) => (typeof line === "string" ? one === line : line.test(one));
    const all = () => ({ code: this.#child.exitCode, out: this.out, notes: this.notes });
    await eventually(`it says ${line}`, all, ({ out, notes }) => [...out, ...notes].some(matches));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");
