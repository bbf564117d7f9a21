/** How the operator's image starts, and as whom: for the image itself and for the Dockerfile. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NODE_FLAGS } from "../build.ts";
import type { RunConfig } from "./write-image.ts";

const packageJson = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "package.json"), "utf8"));
export const PRODUCT: {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
} = packageJson;

export const OPERATOR_IMAGE = `${PRODUCT.name}:${PRODUCT.version}`;

/** Where the programs are: `proffer.mjs` and its siblings. */
export const PROGRAM_FOLDER = "usr/lib/proffer";
export const NODE_PATH = "usr/bin/node";
export const USER_ID = 65532;

/** The revision is the commit that the image was made from. */
export function operatorConfig(revision: string): RunConfig {
  return {
    User: `${USER_ID}:${USER_ID}`,
    Entrypoint: [`/${NODE_PATH}`, ...NODE_FLAGS, `/${PROGRAM_FOLDER}/proffer.mjs`],
    Env: ["PATH=/usr/bin", "NODE_ENV=production"],
    WorkingDir: "/",
    ExposedPorts: { "8080/tcp": {} },
    Labels: {
      "org.opencontainers.image.title": PRODUCT.name,
      "org.opencontainers.image.description": PRODUCT.description,
      "org.opencontainers.image.version": PRODUCT.version,
      "org.opencontainers.image.revision": revision,
      "org.opencontainers.image.licenses": PRODUCT.license,
    },
  };
}
