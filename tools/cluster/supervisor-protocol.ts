/** What a cluster and its supervisor say to each other, and what the supervisor writes down. */
import type { ProcessIdentity } from "./process-info.ts";

/** Folders of clusters are named so, under the system's temporary folder. */
export const FOLDER_PREFIX = "proffer-cluster-";
/** The supervisor's record in a cluster's folder: who must be ended if the supervisor itself was killed. */
export const SUPERVISOR_FILE = "supervisor.json";

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  /**
   * The command starts its program as a child and waits for it, as `unshare --fork` and `nsenter --pid` must: that child is
   * the process that counts.
   */
  readonly forks?: boolean;
}

export interface SupervisorRecord {
  readonly supervisor: ProcessIdentity;
  readonly children: readonly (ProcessIdentity & { readonly name: string })[];
}

export type SupervisorCommand =
  | { readonly op: "start"; readonly spec: ProcessSpec }
  /** Answers when the process has ended. */
  | { readonly op: "end"; readonly name: string; readonly signal: "SIGTERM" | "SIGKILL" }
  /** Live on when the channel closes. */
  | { readonly op: "detach" }
  /** End everything and remove the folder; answered by the supervisor's own end. */
  | { readonly op: "stop" };

export type SupervisorRequest = SupervisorCommand & { readonly id: number };

export type SupervisorMessage =
  | { readonly type: "ready"; readonly dir: string; readonly identity: ProcessIdentity }
  | { readonly type: "done"; readonly id: number; readonly pid?: number }
  | { readonly type: "failed"; readonly id: number; readonly error: string }
  | { readonly type: "exited"; readonly name: string; readonly pid: number; readonly how: string };
