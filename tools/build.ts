import { chmod, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";

const ROOT = join(import.meta.dirname, "..");

/** The programs and where each begins. To ship one more, put it here: images hold them all. */
const PROGRAMS = { proffer: "src/main.ts", "kubectl-proffer": "src/cli/main.ts" } as const;

type ProgramName = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as readonly ProgramName[];

/**
 * How Node.js is to run the operator. Its young generation would grow to three times 16 MB and more while the caches are
 * filled, and stay: with 50,000 pods that is 100 MB for nothing. The old generation begins at a size that a large cluster
 * needs anyway: growing to it costs a full collection at every step, a tenth of the CPU of a restart.
 */
export const NODE_FLAGS = ["--max-semi-space-size=8", "--initial-heap-size=128"] as const;

/** The oldest Node.js that the programs run on: that of their dependencies. */
const NODE_MAJOR = 22;

/** Before everything else: what is missing as one sentence. And some dependencies call require for Node's own modules. */
const BANNER = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);
if (Number.parseInt(process.versions.node) < ${NODE_MAJOR}) {
  console.error("error: this program needs Node.js ${NODE_MAJOR} or newer; this is " + process.version);
  process.exit(1);
}`;

export interface Bundle {
  /** One file that runs with Node.js alone. */
  readonly path: string;
  /** Packages of which something is in it, as paths in package-lock.json: `node_modules/zod`. Sorted. */
  readonly packages: readonly string[];
}

/** Of client-node only its reading of kubeconfigs is used; the generated client would be nine tenths of the file. */
const kubeconfigOnly: Plugin = {
  name: "kubeconfig-only",
  setup(options) {
    const path = join(ROOT, "node_modules/@kubernetes/client-node/dist/config.js");
    options.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path }));
    options.onResolve({ filter: /^\.\/gen\/index\.js$/ }, () => ({ path: "client", namespace: "left-out" }));
    options.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: "export class ServerConfiguration {}\nexport const createConfiguration = undefined;",
    }));
  },
};

/** Bundles a program into `folder`. The same sources give the same bytes, wherever the checkout is. */
export async function bundle(name: ProgramName, folder: string): Promise<Bundle> {
  const path = join(folder, `${name}.mjs`);
  await mkdir(folder, { recursive: true });
  const { metafile } = await build({
    // Names of files that the bundle mentions are relative to it.
    absWorkingDir: ROOT,
    entryPoints: [PROGRAMS[name]],
    outfile: path,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: BANNER },
    plugins: [kubeconfigOnly],
    // Less to read and to hold. Names stay, so that a stack trace tells something.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "warning",
    metafile: true,
  });
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs));
  const packages = inputs.flatMap(([input, { bytesInOutput }]) => (bytesInOutput > 0 ? packageOf(input) : []));
  return { path, packages: [...new Set(packages)].sort() };
}

/** The innermost package that a file belongs to. */
const packageOf = (input: string) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [];

/** The operator as one file in dist/: what is measured. */
export async function buildOperator(): Promise<string> {
  return (await bundle("proffer", join(ROOT, "dist"))).path;
}

/** The plugin of kubectl, as kubectl wants it: executable, and without an extension. */
export async function buildPlugin(folder = join(ROOT, "dist")): Promise<string> {
  const { path } = await bundle("kubectl-proffer", folder);
  const program = path.replace(/\.mjs$/, "");
  await rename(path, program);
  await chmod(program, 0o755);
  return program;
}

if (import.meta.main) {
  const wanted = process.argv[2];
  if (wanted === undefined || wanted === "proffer") console.log(await buildOperator());
  if (wanted === undefined || wanted === "kubectl-proffer") console.log(await buildPlugin());
}
