/** A cluster of kind (Kubernetes in containers of Docker or Podman), for a run of the end-to-end tests. */
import { execFile, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildImage, type ImageName } from "../image/images.ts";
import { ensureBinaries } from "./binaries.ts";
import { isAlive } from "./process-info.ts";
import { duration, type Progress } from "./progress.ts";
import { tryVersion } from "./try-version.ts";

const run = promisify(execFile);

/** The variable that tells tests the kubeconfig of the cluster of their run. */
export const KIND_KUBECONFIG = "PROFFER_KIND_KUBECONFIG";
/** Set: the cluster stays, and its kubeconfig. */
const KEEP = "KEEP";
const READY_SECONDS = 300;
/** Clusters are `proffer-PID-…`, so that a later run knows whose have ended; those that are kept are not. */
const OURS = /^proffer-(\d+)-[0-9a-f]+$/;

export interface KindCluster {
  readonly name: string;
  readonly kubeconfigPath: string;
  /** Deletes it, unless it is to be kept. May be called twice. */
  stop(): Promise<void>;
}

export interface KindOptions {
  readonly progress: Progress;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Put onto its node before this returns. */
  readonly images: readonly ImageName[];
  /** The program; default: that on the PATH, else a pinned one that Go builds. */
  readonly kind?: string;
  /** Writes an image into a file. */
  readonly build?: (image: ImageName, file: string) => Promise<unknown>;
}

/**
 * Creates a cluster of a name of its own, with our images on its node; the kubeconfig is a temporary file, and the user's own
 * one stays as it is. What an earlier run that was killed has left is deleted first.
 *
 * @throws Error that says what to do, where there are no containers or where kind fails; nothing is left then
 */
export async function startKindCluster(options: KindOptions): Promise<KindCluster> {
  const { progress, env, images } = options;
  const startedAt = performance.now();
  const kind = options.kind ?? (await findKind(progress));
  const left = await existing(kind);
  for (const name of left.filter(isLeftOver)) await kindDo(kind, ["delete", "cluster", "--name", name]);
  const keep = (env[KEEP] ?? "") !== "";
  const name = `proffer-${keep ? "kept" : process.pid}-${randomBytes(3).toString("hex")}`;
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const kubeconfigPath = join(folder, "kubeconfig");
  const where = ["--name", name, "--kubeconfig", kubeconfigPath];
  const forgotten = () => {
    // Whatever way we end: a container that nobody knows of would run for ever.
    spawnSync(kind, ["delete", "cluster", ...where], { stdio: "ignore" });
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", forgotten);
  const remove = async () => {
    process.removeListener("exit", forgotten);
    await kindDo(kind, ["delete", "cluster", ...where]).finally(() => rmSync(folder, { recursive: true, force: true }));
  };
  let stopped: Promise<void> | undefined;
  try {
    progress.update(`kind creates the cluster ${name}`);
    await kindDo(kind, ["create", "cluster", ...where, "--wait", `${READY_SECONDS}s`]);
    for (const image of images) {
      progress.update(`${image}: onto the node of ${name}`);
      const file = join(folder, `${image}.tar`);
      await (options.build ?? ((one, output) => buildImage(one, { output, progress })))(image, file);
      await kindDo(kind, ["load", "image-archive", file, "--name", name]);
      rmSync(file, { force: true });
    }
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
  progress.done(`the kind cluster ${name} is ready after ${duration(performance.now() - startedAt)}`);
  const stop = async () => {
    if (!keep) return remove();
    process.removeListener("exit", forgotten);
    progress.done(`kept: export KUBECONFIG=${kubeconfigPath}; to end it: kind delete cluster --name ${name}`);
  };
  return {
    name,
    kubeconfigPath,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

async function findKind(progress: Progress): Promise<string> {
  if (tryVersion("kind", ["version"]) !== undefined) return "kind";
  return (
    await ensureBinaries(["kind"], progress).catch((error: Error) => {
      throw new Error(`CLUSTER=kind: there is no kind on the PATH (https://kind.sigs.k8s.io): ${error.message}`);
    })
  ).kind;
}

async function existing(kind: string): Promise<string[]> {
  return (await kindDo(kind, ["get", "clusters"])).split("\n").filter((name) => name !== "");
}

/** Of a run that was killed; runs side by side have processes that live. */
function isLeftOver(name: string): boolean {
  const pid = OURS.exec(name)?.[1];
  return pid !== undefined && !isAlive({ pid: Number(pid) });
}

/** Returns what kind prints; throws with the end of what it complains about. */
async function kindDo(kind: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(kind, args)).stdout;
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim();
    const why = said.split("\n").slice(-5).join("\n");
    const help = /docker|podman|daemon/i.test(said)
      ? "CLUSTER=kind needs Docker (or Podman) that runs and may be used; without it, leave CLUSTER away"
      : "";
    throw new Error([`kind ${args.slice(0, 2).join(" ")} failed: ${why}`, help].filter(Boolean).join("\n"));
  }
}
