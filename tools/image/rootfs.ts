import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runProgram } from "./run-program.ts";
import { writeTar } from "./tar.ts";
import type { Layer } from "./write-image.ts";

/**
 * Unpacks layers over each other into a folder that is not there yet, as a container runtime would. Owners are set only for
 * root. Throws when the folder is there, or the one above it is not.
 */
export async function unpackLayers(layers: readonly Layer[], folder: string): Promise<void> {
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") throw new Error(`${folder} is there already: name a folder that is not`);
    if (error.code === "ENOENT") throw new Error(`no folder ${dirname(folder)} to make ${folder} in`);
    throw error;
  });
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
