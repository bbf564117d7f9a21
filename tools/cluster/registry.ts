/** The clusters of this machine, found by their folders: there is no other record that could be wrong. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, signal } from "./process-info.ts";
import { FOLDER_PREFIX } from "./supervisor-protocol.ts";
import { readRecord, sweepFolder } from "./sweep.ts";
import { waitFor } from "./wait.ts";

const CARD_FILE = "cluster.json";

/** What `status` shows of a cluster that was left running. */
export interface ClusterCard {
  readonly name: string;
  readonly url: string;
  readonly kubeconfigPath: string;
  readonly nodes: number;
  readonly startedAt: string;
}

export interface RunningCluster extends ClusterCard {
  readonly dir: string;
  readonly processes: readonly string[];
}

/** Makes a cluster known to `status` and `down`. */
export function writeCard(dir: string, card: ClusterCard): void {
  writeFileSync(join(dir, CARD_FILE), JSON.stringify(card));
}

/** The clusters left running by `up`, by name; those of tests are not among them. */
export function listClusters(): RunningCluster[] {
  const found: RunningCluster[] = [];
  for (const folder of readdirSync(tmpdir())) {
    if (!folder.startsWith(FOLDER_PREFIX)) continue;
    const dir = join(tmpdir(), folder);
    const record = readRecord(dir);
    if (record === undefined || !isAlive(record.supervisor)) continue;
    try {
      const card = JSON.parse(readFileSync(join(dir, CARD_FILE), "utf8")) as ClusterCard;
      found.push({ ...card, dir, processes: record.children.filter(isAlive).map(({ name }) => name) });
    } catch {
      // A test's cluster, or one that is starting or ending.
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The cluster of that name. Throws when none runs. */
export function findCluster(name: string): RunningCluster {
  const cluster = listClusters().find((candidate) => candidate.name === name);
  if (cluster === undefined) throw new Error(`no cluster ${name} is running; see: npm run cluster -- status`);
  return cluster;
}

/** Ends a cluster left running by `up` and returns when its folder is gone. */
export async function endCluster(cluster: RunningCluster): Promise<void> {
  const supervisor = readRecord(cluster.dir)?.supervisor;
  if (supervisor !== undefined && signal(supervisor, "SIGTERM")) {
    await waitFor(`cluster ${cluster.name} to end`, () => !isAlive(supervisor), { timeoutMs: 20_000 });
  }
  await sweepFolder(cluster.dir);
}
