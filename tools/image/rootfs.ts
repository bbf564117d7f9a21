import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runProgram } from "./run-program.ts";
import { writeTar } from "./tar.ts";
import type { Layer } from "./write-image.ts";

/**
 * Unpacks layers over each other into a folder that is not there yet, as a container runtime would. Owners are set only for
 * root. Throws when the folder is there.
 */
export async function unpackLayers(layers: readonly Layer[], folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder);
  const scratch = await mkdtemp(join(dirname(folder), ".rootfs-"));
  try {
    for (const [index, { entries }] of layers.entries()) {
      const archive = join(scratch, `${index}.tar`);
      await writeTar(entries, archive);
      await runProgram(
        "tar",
        ["--extract", "--file", archive, "--directory", folder, "--numeric-owner", "--preserve-permissions"],
        {
          ifMissing: "Install tar.",
        },
      );
      await rm(archive);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
