import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";

/**
 * The words to put before a command so that the kernel kills it when its parent dies, even by SIGKILL; none where there is
 * no util-linux.
 */
export function tieToLife(): readonly string[] {
  const words = ["setpriv", "--pdeathsig", "KILL", "--"] as const;
  const [command, ...args] = words;
  return process.platform === "linux" && spawnSync(command, [...args, "true"]).status === 0 ? words : [];
}

let tie: readonly string[] | undefined;

/** As `spawn`, for a program that is not to outlive this process, however that ends. */
export function spawnTied(program: string, programArgs: readonly string[], options: SpawnOptions = {}): ChildProcess {
  tie ??= tieToLife();
  const [command = "", ...args] = [...tie, program, ...programArgs];
  const child = spawn(command, args, options);
  // Where the kernel does not see to it, at least an orderly end does.
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
  return child;
}
