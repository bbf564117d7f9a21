import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Progress, silent } from "../cluster/progress.ts";
import { describePause } from "./pause.ts";
import { describeWorkload } from "./workload.ts";
import { type ImageDescription, type WrittenImage, writeImage } from "./write-image.ts";

/** How each image comes about: files are made or fetched into the scratch folder, and described. */
const DESCRIBE = {
  pause: describePause,
  workload: describeWorkload,
} satisfies Record<string, (scratch: string, progress: Progress) => Promise<ImageDescription>>;

export type ImageName = keyof typeof DESCRIBE;
export const IMAGE_NAMES = Object.keys(DESCRIBE) as readonly ImageName[];

const FOLDER = join(import.meta.dirname, "..", "..", "dist", "images");

/** Builds an image into `output`, a tar file: `dist/images/NAME.tar` when it is not given. */
export async function buildImage(
  name: ImageName,
  { output = join(FOLDER, `${name}.tar`), progress = silent }: { output?: string; progress?: Progress } = {},
): Promise<WrittenImage> {
  const scratch = await mkdtemp(join(tmpdir(), "proffer-image-"));
  try {
    const description = await DESCRIBE[name](scratch, progress);
    progress.update(`${description.name}: writing`);
    return await writeImage(description, output);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
