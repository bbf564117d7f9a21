import { spawnSync } from "node:child_process";

/**
 * The words to put before a command so that the kernel kills it when its parent dies, even by SIGKILL; none where there is
 * no util-linux.
 */
export function tieToLife(): readonly string[] {
  const words = ["setpriv", "--pdeathsig", "KILL", "--"] as const;
  const [command, ...args] = words;
  return process.platform === "linux" && spawnSync(command, [...args, "true"]).status === 0 ? words : [];
}
