import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Where fetched parts of images are kept: in the checkout, out of git's sight. */
export const IMAGE_CACHE = join(import.meta.dirname, "..", "..", ".cache", "image");

/**
 * The file at `path`, verified, whether it was there or has just been fetched.
 *
 * @param verify throws when the file that it is given is not what it should be
 * @param fetch puts the file into the folder that it is given, under its own name
 */
export async function cached(
  path: string,
  verify: (path: string) => Promise<void>,
  fetch: (into: string) => Promise<void>,
): Promise<string> {
  if (existsSync(path)) {
    await verify(path);
    return path;
  }
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  // Beside the result, so that a file appears there only whole and verified.
  const scratch = await mkdtemp(join(folder, ".fetch-"));
  try {
    await fetch(scratch);
    const fetched = join(scratch, basename(path));
    await verify(fetched);
    await rename(fetched, path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}
