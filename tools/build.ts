import { mkdir } from "node:fs/promises";
import { build } from "esbuild";

/** One file that runs with Node.js alone: what an image holds, and what is measured. */
export async function buildOperator(): Promise<string> {
  const outfile = new URL("../dist/proffer.mjs", import.meta.url).pathname;
  await mkdir(new URL("../dist", import.meta.url), { recursive: true });
  await build({
    entryPoints: [new URL("../src/main.ts", import.meta.url).pathname],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // Some dependencies are CommonJS and call require for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  return outfile;
}

if (import.meta.main) console.log(await buildOperator());
