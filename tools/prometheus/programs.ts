/** A real Prometheus for the tests: the installed one when new enough, else Debian's package, unpacked and not installed. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { withLock } from "../cluster/file-lock.ts";
import { type Progress, progressOn } from "../cluster/progress.ts";
import { tryVersion } from "../cluster/try-version.ts";
import { fetchDebianPackage, readDebianPackage } from "../image/debian.ts";
import { ProgramFailed } from "../image/run-program.ts";

const PROGRAMS = ["prometheus", "promtool"] as const;

export interface PrometheusPrograms {
  /** Commands or absolute paths. */
  readonly prometheus: string;
  readonly promtool: string;
  /** As the program tells it: `2.42.0+ds`. */
  readonly version: string;
}

const CACHE = join(import.meta.dirname, "..", "..", ".cache", "prometheus");
/** What is used of it has been there since then. */
const OLDEST = [2, 42] as const;

/** The programs, or why there are none on this machine: for tests, which are skipped then. */
export async function findPrometheus(
  fetch: (name: string, progress: Progress) => Promise<string> = fetchDebianPackage,
): Promise<PrometheusPrograms | { readonly missing: string }> {
  try {
    return installed() ?? (await unpacked(fetch));
  } catch (error) {
    const wanted = `${PROGRAMS.join(" and ")} ${OLDEST.join(".")} or newer`;
    // What is said of a program that is missing is about images.
    const reason =
      error instanceof ProgramFailed && error.missing ? "no apt on this machine" : (error as Error).message;
    return { missing: `no ${wanted} on the PATH, and none from Debian: ${reason}` };
  }
}

/** The version in what `prometheus --version` and `promtool --version` say; undefined where there is none. */
export function versionIn(said: string | undefined): string | undefined {
  return /\bversion (\d+\.\d+\S*)/.exec(said ?? "")?.[1];
}

/** Whether a version is at least the oldest that will do. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

function installed(): PrometheusPrograms | undefined {
  const [version, other] = PROGRAMS.map((name) => versionIn(tryVersion(name, ["--version"])));
  if (version === undefined || version !== other || !isNewEnough(version)) return undefined;
  return { prometheus: "prometheus", promtool: "promtool", version };
}

async function unpacked(fetch: (name: string, progress: Progress) => Promise<string>): Promise<PrometheusPrograms> {
  const archive = await fetch("prometheus", progressOn());
  // The package's own name tells its version.
  const folder = join(CACHE, basename(archive, ".deb"));
  mkdirSync(CACHE, { recursive: true });
  await withLock(join(CACHE, "unpack.lock"), async () => {
    if (!existsSync(folder)) await unpack(archive, folder);
  });
  const [prometheus, promtool] = PROGRAMS.map((name) => join(folder, name)) as [string, string];
  const version = versionIn(tryVersion(prometheus, ["--version"]));
  if (version === undefined) throw new Error(`${prometheus} does not run on this machine`);
  return { prometheus, promtool, version };
}

async function unpack(archive: string, folder: string): Promise<void> {
  const entries = await readDebianPackage(archive);
  // Beside the result, so that it appears there only whole.
  const partial = mkdtempSync(join(dirname(folder), ".unpack-"));
  try {
    for (const name of PROGRAMS) {
      const found = entries.find(({ path }) => path === `usr/bin/${name}`);
      if (found?.type !== "file" || !("content" in found)) throw new Error(`${archive} holds no usr/bin/${name}`);
      writeFileSync(join(partial, name), found.content, { mode: 0o755 });
    }
    chmodSync(partial, 0o755);
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
