import type { Terminal } from "./terminal.ts";

/** What commands need of the process around them. */
export interface Surroundings {
  readonly terminal: Terminal;
  /** Calls the listener at each Ctrl-C or SIGTERM; returns how to stop that. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** What the process is to end with, once everything was said. */
  readonly exitWith: (code: number) => void;
}
