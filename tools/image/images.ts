import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Progress, silent } from "../cluster/progress.ts";
import { describeOperator } from "./operator.ts";
import { describePause } from "./pause.ts";
import { unpackLayers } from "./rootfs.ts";
import { describeWorkload } from "./workload.ts";
import { type ImageDescription, type WrittenImage, writeImage } from "./write-image.ts";

/** An image, perhaps with a bill of its materials. */
type Described = ImageDescription & { readonly sbom?: string };

/** How each image comes about: files are made or fetched into the scratch folder, and described. */
const DESCRIBE = {
  operator: describeOperator,
  pause: describePause,
  workload: describeWorkload,
} satisfies Record<string, (scratch: string, progress: Progress, revision?: string) => Promise<Described>>;

export type ImageName = keyof typeof DESCRIBE;
export const IMAGE_NAMES = Object.keys(DESCRIBE) as readonly ImageName[];

const FOLDER = join(import.meta.dirname, "..", "..", "dist", "images");

interface BuildOptions {
  readonly progress?: Progress;
  /** The commit that the image says it is made from: that of the checkout when it is not given. */
  readonly revision?: string;
}

/**
 * Builds an image into `output`, a tar file: `dist/images/NAME.tar` when it is not given. A bill of materials is put beside it
 * as `NAME.spdx.json`.
 */
export function buildImage(
  name: ImageName,
  { output = join(FOLDER, `${name}.tar`), ...options }: BuildOptions & { readonly output?: string } = {},
): Promise<WrittenImage> {
  return withDescription(name, options, async (description) => {
    await mkdir(FOLDER, { recursive: true });
    options.progress?.update(`${description.name}: writing`);
    const written = await writeImage(description, output);
    if (description.sbom !== undefined) await writeFile(output.replace(/(\.tar)?$/, ".spdx.json"), description.sbom);
    return written;
  });
}

/** Writes what a container of the image would see into a folder that is not there yet. */
export function buildRootfs(name: ImageName, folder: string, progress: Progress = silent): Promise<void> {
  return withDescription(name, { progress }, ({ layers }) => unpackLayers(layers, folder));
}

async function withDescription<T>(
  name: ImageName,
  { progress = silent, revision }: BuildOptions,
  use: (description: Described) => Promise<T>,
): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), "proffer-image-"));
  try {
    return await use(await DESCRIBE[name](scratch, progress, revision));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
