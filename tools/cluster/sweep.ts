/** Removing what is left of clusters whose supervisor was killed. */
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isAlive, signal } from "./process-info.ts";
import { removeCgroups } from "./real-node/cgroups.ts";
import { FOLDER_PREFIX, SUPERVISOR_FILE, type SupervisorRecord } from "./supervisor-protocol.ts";
import { waitFor } from "./wait.ts";

// A supervisor writes its record milliseconds after it made the folder; a folder without one is nobody's only when old.
const RECORDLESS_MS = 60_000;

/** Ends the recorded processes of one folder and removes it; only for folders whose supervisor has ended. */
export async function sweepFolder(dir: string): Promise<void> {
  const record = readRecord(dir);
  for (const child of [...(record?.children ?? [])].reverse()) {
    signal(child, "SIGKILL");
    await waitFor(`${child.name} to end`, () => !isAlive(child), { everyMs: 10 });
  }
  removeFolder(dir);
}

/** Removes a cluster's folder, and first the control groups of the node that ran in it. Its processes must have ended. */
export function removeFolder(dir: string): void {
  removeCgroups(basename(dir));
  rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
}

/** Sweeps all folders of dead supervisors on this machine. Errors are left to the next sweep: the folder may be another user's. */
export async function sweepStale(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    const dir = join(tmpdir(), name);
    try {
      const record = readRecord(dir);
      const stale =
        record === undefined ? Date.now() - statSync(dir).mtimeMs > RECORDLESS_MS : !isAlive(record.supervisor);
      if (stale) await sweepFolder(dir);
    } catch {
      // Gone meanwhile, or not ours.
    }
  }
}

/** What the supervisor of a folder wrote down; undefined when there is no such file. */
export function readRecord(dir: string): SupervisorRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(dir, SUPERVISOR_FILE), "utf8")) as SupervisorRecord;
  } catch {
    return undefined;
  }
}
