import { spawn } from "node:child_process";
import { join } from "node:path";
import type { StepResult } from "./step.ts";

/** The checkout. */
export const ROOT = join(import.meta.dirname, "..", "..");

/** Runs a program in the checkout until it ends and keeps what it says. Ok means exit code 0. Never rejects. */
export function runCommand(program: string, arguments_: readonly string[]): Promise<StepResult> {
  const path = `${join(ROOT, "node_modules", ".bin")}:${process.env.PATH}`;
  return new Promise((resolve) => {
    const child = spawn(program, arguments_, {
      cwd: ROOT,
      env: { ...process.env, PATH: path, NO_COLOR: "1", FORCE_COLOR: undefined },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
    child.on("error", (error) => resolve({ ok: false, output: `${program}: ${error.message}` }));
    child.on("close", (code, signal) => {
      const ending = signal === null ? "" : `\n${program} was ended by ${signal}`;
      resolve({ ok: code === 0, output: Buffer.concat(said).toString() + ending });
    });
  });
}
