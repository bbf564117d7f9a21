import { join } from "node:path";
import { runProgram } from "./run-program.ts";
import type { ImageDescription } from "./write-image.ts";

/**
 * The image of a pod's first process, for nodes that cannot fetch the usual one. Compiled by this machine's C compiler, so
 * another machine's may have another digest.
 */
export async function describePause(scratch: string): Promise<ImageDescription> {
  const program = join(scratch, "pause");
  await runProgram(
    "cc",
    ["-static", "-Os", "-s", "-Wall", "-Werror", "-o", program, join(import.meta.dirname, "pause.c")],
    {
      ifMissing: "The pause image is compiled on this machine: install gcc and libc6-dev.",
    },
  );
  return {
    name: "pause:local",
    layers: [{ comment: "pause", entries: [{ type: "file", path: "pause", mode: 0o755, source: program }] }],
    config: { User: "65535:65535", Entrypoint: ["/pause"] },
  };
}
