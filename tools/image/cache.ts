import { join } from "node:path";

/** Where fetched parts of images are kept: in the checkout, out of git's sight. */
export const IMAGE_CACHE = join(import.meta.dirname, "..", "..", ".cache", "image");
