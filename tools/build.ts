import { mkdir } from "node:fs/promises";
import { build, type Plugin } from "esbuild";

/**
 * How Node.js is to run the operator. Its young generation would grow to three times 16 MB and more while the caches are
 * filled, and stay: with 50,000 pods that is 100 MB for nothing.
 */
export const NODE_FLAGS = ["--max-semi-space-size=8"] as const;

/** Of client-node only its reading of kubeconfigs is used; the generated client would be nine tenths of the file. */
const kubeconfigOnly: Plugin = {
  name: "kubeconfig-only",
  setup(options) {
    const path = new URL("../node_modules/@kubernetes/client-node/dist/config.js", import.meta.url).pathname;
    options.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path }));
    options.onResolve({ filter: /^\.\/gen\/index\.js$/ }, () => ({ path: "client", namespace: "left-out" }));
    options.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: "export class ServerConfiguration {}\nexport const createConfiguration = undefined;",
    }));
  },
};

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
    plugins: [kubeconfigOnly],
    logLevel: "warning",
  });
  return outfile;
}

if (import.meta.main) console.log(await buildOperator());
