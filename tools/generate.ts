import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { cliReferenceGenerator } from "./generate/cli.ts";
import { chartCrdGenerator, crdGenerator } from "./generate/crd.ts";
import { dashboardGenerator } from "./generate/dashboards.ts";
import { dockerfileGenerator } from "./generate/dockerfile.ts";
import { metricReferenceGenerator } from "./generate/metrics.ts";
import type { Generator, Output } from "./generate/output.ts";
import { performanceGenerator } from "./generate/performance.ts";
import { reasonReferenceGenerator } from "./generate/reason-reference.ts";
import { resourceReferenceGenerator } from "./generate/resource-reference.ts";
import { valuesReferenceGenerator } from "./generate/values.ts";

/** Everything that is generated. To add something, write a Generator and put it here. */
const generators: Generator[] = [
  crdGenerator,
  chartCrdGenerator,
  resourceReferenceGenerator,
  reasonReferenceGenerator,
  metricReferenceGenerator,
  cliReferenceGenerator,
  valuesReferenceGenerator,
  performanceGenerator,
  dockerfileGenerator,
  dashboardGenerator,
];

const root = join(import.meta.dirname, "..");

/** Paths, from the root, of files whose content is not what was generated, and of files that should not be there. */
async function differences(outputs: Output[]): Promise<{ changed: Output[]; stale: string[] }> {
  const changed: Output[] = [];
  for (const output of outputs) {
    const present = await readFile(join(root, output.path), "utf8").catch(() => undefined);
    if (present !== output.content) changed.push(output);
  }
  const paths = new Set(outputs.map(({ path }) => path));
  const stale: string[] = [];
  for (const folder of generators.flatMap(({ ownedFolders = [] }) => ownedFolders)) {
    const names = await readdir(join(root, folder)).catch(() => []);
    stale.push(...names.map((name) => `${folder}/${name}`).filter((path) => !paths.has(path)));
  }
  return { changed, stale };
}

async function run({ check }: { check: boolean }): Promise<void> {
  const outputs = (await Promise.all(generators.map(({ generate }) => generate()))).flat();
  const { changed, stale } = await differences(outputs);
  if (check) {
    for (const { path } of changed) console.error(`differs from a fresh generation: ${path}`);
    for (const path of stale) console.error(`is not generated any more: ${path}`);
    if (changed.length + stale.length > 0) {
      console.error("Run `npm run generate` and commit what it writes.");
      process.exitCode = 1;
    }
    return;
  }
  for (const { path, content } of changed) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    console.log(`wrote ${path}`);
  }
  for (const path of stale) {
    await rm(join(root, path));
    console.log(`removed ${path}`);
  }
}

await new Command("generate")
  .description("Writes every generated file of the repository")
  .option("--check", "write nothing; name the files that differ and exit with 1", false)
  .action(run)
  .parseAsync();
