/** The programs a cluster is made of: taken from KUBEBUILDER_ASSETS or the cache, else built from pinned Go modules. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./file-lock.ts";
import { goBuild } from "./go-build.ts";
import type { Progress } from "./progress.ts";

export type BinaryName =
  | ("kube-apiserver" | "etcd" | "kwok" | "kube-controller-manager" | "kube-scheduler")
  // Of a real node.
  | ("kubelet" | "kube-proxy")
  // For clusters in containers.
  | "kind";

interface Source {
  /** The nested Go module under go/ that pins it. */
  readonly folder: string;
  readonly module: string;
  readonly package: string;
}

const kubernetes = (command: string): Source => ({
  folder: "kubernetes",
  module: "k8s.io/kubernetes",
  package: `k8s.io/kubernetes/cmd/${command}`,
});

const SOURCES: Readonly<Record<BinaryName, Source>> = {
  "kube-apiserver": kubernetes("kube-apiserver"),
  etcd: { folder: "etcd", module: "go.etcd.io/etcd/server/v3", package: "go.etcd.io/etcd/server/v3" },
  kwok: { folder: "kwok", module: "sigs.k8s.io/kwok", package: "sigs.k8s.io/kwok/cmd/kwok" },
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  kubelet: kubernetes("kubelet"),
  "kube-proxy": kubernetes("kube-proxy"),
  kind: { folder: "kind", module: "sigs.k8s.io/kind", package: "sigs.k8s.io/kind" },
};

/** Every binary there is, in the order they are best built in. */
export const BINARY_NAMES = Object.keys(SOURCES) as readonly BinaryName[];

const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Where built and extracted programs are kept: in the checkout, out of git's sight. */
export const CACHE = join(HERE, "..", "..", ".cache", "cluster");

/** The paths of the binaries asked for. What is missing is built, one process at a time on this checkout. */
export async function ensureBinaries<Name extends BinaryName>(
  names: readonly Name[],
  progress: Progress,
): Promise<Record<Name, string>> {
  const paths = {} as Record<Name, string>;
  for (const name of names) paths[name] = await ensureBinary(name, progress);
  return paths;
}

async function ensureBinary(name: BinaryName, progress: Progress): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== "" && existsSync(join(assets, name))) return join(assets, name);
  const source = SOURCES[name];
  const version = pinnedVersion(source);
  const folder = join(CACHE, `${source.folder}-${version}`, "bin");
  const path = join(folder, name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const onWait = (owner: { readonly pid: number }) =>
    progress.update(`${name}: process ${owner.pid} is building here already, waiting for it`);
  await withLock(
    join(CACHE, "build.lock"),
    async () => {
      if (existsSync(path)) return;
      removePartials(folder);
      const partial = `${path}.${process.pid}.partial`;
      try {
        await goBuild({
          name,
          module: join(HERE, "go", source.folder),
          package: source.package,
          ldflags: ldflags(source, version),
          output: partial,
          progress,
        });
        renameSync(partial, path);
      } finally {
        rmSync(partial, { force: true });
      }
    },
    { onWait },
  );
  return path;
}

/** What builders left that were killed; only the lock's owner may. */
function removePartials(folder: string): void {
  for (const file of readdirSync(folder)) {
    if (file.endsWith(".partial")) rmSync(join(folder, file), { force: true });
  }
}

/** The version that the nested module's go.mod requires; it stands nowhere else. */
function pinnedVersion(source: Source): string {
  const text = readFileSync(join(HERE, "go", source.folder, "go.mod"), "utf8");
  for (const line of text.split("\n")) {
    const [module, version] = line
      .replace(/^require\s+/, "")
      .trim()
      .split(/\s+/);
    if (module === source.module && version !== undefined) return version;
  }
  throw new Error(`go/${source.folder}/go.mod requires no ${source.module}`);
}

/** Without these Kubernetes calls itself v0.0.0, and clients refuse to talk to it. */
function ldflags(source: Source, version: string): string {
  if (source.folder !== "kubernetes") return "-s -w";
  const [major = "", minor = ""] = version.replace(/^v/, "").split(".");
  const set = (key: string, value: string) => `-X k8s.io/component-base/version.${key}=${value}`;
  return ["-s -w", set("gitVersion", version), set("gitMajor", major), set("gitMinor", minor)].join(" ");
}
