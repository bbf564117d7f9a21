import { execFileSync } from "node:child_process";

/** What a program says when asked for its version; undefined when it cannot be started or fails. */
export function tryVersion(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 10_000 });
  } catch {
    return undefined;
  }
}
