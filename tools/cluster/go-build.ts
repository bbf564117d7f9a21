import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { duration, type Progress } from "./progress.ts";
import { tieToLife } from "./tie-to-life.ts";
import { tryVersion } from "./try-version.ts";

export interface GoBuild {
  readonly name: string;
  /** The folder of the go.mod. */
  readonly module: string;
  readonly package: string;
  readonly ldflags: string;
  readonly output: string;
  readonly progress: Progress;
}

// What Kubernetes 1.36 requires.
const GO_MINOR = 26;
const KEPT_LINES = 30;

/** Builds one static binary, with progress. Throws with the compiler's last lines. */
export async function goBuild(build: GoBuild): Promise<void> {
  const go = findGo(build.name);
  const startedAt = performance.now();
  const env = {
    ...process.env,
    CGO_ENABLED: "0",
    // The pinned sums decide, not the surroundings: no workspace, no other toolchain, no change of go.mod, no git.
    GOWORK: "off",
    GOTOOLCHAIN: "local",
    GOFLAGS: "-mod=readonly -buildvcs=false -trimpath",
  };
  // A build that outlived us would compete with the one of whoever takes the lock over.
  const [command = go, ...args] = [
    ...tieToLife(),
    go,
    "build",
    "-v",
    "-ldflags",
    build.ldflags,
    "-o",
    build.output,
    build.package,
  ];
  const child = spawn(command, args, { cwd: build.module, env, stdio: ["ignore", "ignore", "pipe"] });
  const last: string[] = [];
  let packages = 0;
  let doing = "starting";
  const show = () =>
    build.progress.update(`building ${build.name}: ${doing}, ${duration(performance.now() - startedAt)}`);
  // The linker is silent for half a minute, so progress goes by the clock.
  const timer = setInterval(show, 500);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.startsWith("go: downloading")) doing = line.slice("go: ".length);
      else if (/^[\w.-]+(\/[\w.~-]+)*$/.test(line)) doing = `${++packages} packages compiled`;
      last.push(line);
      if (last.length > KEPT_LINES) last.shift();
      show();
    }
    const code = await ended;
    if (code !== 0) throw new Error(`go build of ${build.name} ended with ${code}:\n${last.join("\n")}`);
  } finally {
    clearInterval(timer);
    if (child.exitCode === null) child.kill();
  }
  build.progress.done(`built ${build.name} in ${duration(performance.now() - startedAt)}`);
}

/** The go command, if it is new enough. */
function findGo(forWhat: string): string {
  const needed = `Go 1.${GO_MINOR} or newer is needed to build ${forWhat} (once, then it is cached)`;
  // Go's own installer puts it there, and forgets the PATH.
  for (const command of ["go", "/usr/local/go/bin/go"]) {
    const said = tryVersion(command, ["env", "GOVERSION"]);
    if (said === undefined) continue;
    const [, major = "0", minor = "0"] = /go(\d+)\.(\d+)/.exec(said) ?? [];
    if (Number(major) > 1 || Number(minor) >= GO_MINOR) return command;
    throw new Error(`${needed}; ${command} is ${said.trim()}. See https://go.dev/dl, or set KUBEBUILDER_ASSETS.`);
  }
  throw new Error(`${needed}, and there is no go on the PATH. See https://go.dev/dl, or set KUBEBUILDER_ASSETS.`);
}
