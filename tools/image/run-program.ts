import { execFile } from "node:child_process";

/** A program that was needed and did not do its work; the message is for people. */
export class ProgramFailed extends Error {
  override readonly name = "ProgramFailed";
  /** There is no such program. */
  readonly missing: boolean;
  constructor(message: string, missing = false) {
    super(message);
    this.missing = missing;
  }
}

interface RunOptions {
  /** What to do when there is no such program: a sentence. */
  readonly ifMissing: string;
  readonly cwd?: string;
}

/** Runs a program to its end; resolves with its standard output. Rejects with what it said when it fails. */
export function runProgram(program: string, arguments_: readonly string[], options: RunOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settings = {
      cwd: options.cwd,
      encoding: "buffer",
      maxBuffer: 1 << 30,
      env: { ...process.env, LC_ALL: "C" },
    } as const;
    const child = execFile(program, arguments_, settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === "ENOENT")
        reject(new ProgramFailed(`no ${program} on the PATH. ${options.ifMissing}`, true));
      else
        reject(
          new ProgramFailed(`${program} ${arguments_[0] ?? ""} failed: ${stderr.toString().trim() || error.message}`),
        );
    });
    child.stdin?.end();
  });
}
