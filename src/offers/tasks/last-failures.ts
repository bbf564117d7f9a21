import type { FailureView } from "../views.ts";
import type { Ending } from "./endings.ts";
import type { Instance } from "./instance.ts";

const MOST = 5;

/** How attempts of a Task have ended otherwise than well: the last few, newest first. */
export class LastFailures {
  readonly all: FailureView[];

  constructor(recorded: readonly FailureView[]) {
    this.all = recorded.slice(0, MOST);
  }

  add(
    { index, attempt, nodeName }: Pick<Instance, "index" | "attempt" | "nodeName">,
    ending: Ending,
    atMs: number,
  ): void {
    const { reason, message, exitCode } = ending;
    const code = exitCode === undefined ? {} : { exitCode };
    this.all.unshift({ index, attempt, node: nodeName, reason, message: message.slice(0, 1024), ...code, atMs });
    this.all.length = Math.min(this.all.length, MOST);
  }
}
