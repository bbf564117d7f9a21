/** The reference framework as a process of its own. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BagLine } from "../../../src/frameworks/bag-of-tasks/bag.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { spawnTied } from "../../../tools/cluster/tie-to-life.ts";
import type { Person } from "./person.ts";

const MAIN = new URL("../../../src/frameworks/bag-of-tasks/main.ts", import.meta.url).pathname;

export interface BagWishes {
  readonly namespace: string;
  readonly lines: readonly BagLine[];
  /** How long each instance runs on a fake node. */
  readonly duration: string;
  readonly optimistic?: boolean;
  /** How long its Lease is good for; default as the program has it. */
  readonly leaseSeconds?: number;
  /** Default `default`. */
  readonly queue?: string;
}

export interface BagProcess {
  /** Its exit code and everything it said. */
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
  running(): boolean;
  kill(): Promise<void>;
  /** Tells it to end in order, and waits until it has. */
  stop(): Promise<void>;
}

/** Starts the program for the bag `name`, as this person. Started again with the same wishes, it goes on. */
export function startBag(cluster: Cluster, person: Person, name: string, wishes: BagWishes): BagProcess {
  const file = join(cluster.dir, `${name}.jsonl`);
  const pool = { "test/pool": wishes.namespace };
  const lines = wishes.lines.map((line) => JSON.stringify({ nodeSelector: pool, ...line }));
  writeFileSync(file, lines.join("\n"));
  const args = ["--name", name, "--namespace", wishes.namespace, "--file", file, "--kubeconfig", person.kubeconfig];
  const fake = ["--annotation", `fake-kubelet/duration=${wishes.duration}`];
  const lease = wishes.leaseSeconds === undefined ? [] : ["--lease-seconds", String(wishes.leaseSeconds)];
  const kind = [...(wishes.optimistic ? ["--optimistic"] : []), ...(wishes.queue ? ["--queue", wishes.queue] : [])];
  const child = spawnTied(process.execPath, [MAIN, ...args, ...fake, ...lease, ...kind]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data) => {
      said += data;
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, said }));
  return {
    ended,
    running: () => child.exitCode === null && child.signalCode === null,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
