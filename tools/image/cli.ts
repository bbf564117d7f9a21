/** `npm run image -- COMMAND`: container images, made without a daemon. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Argument, Command } from "commander";
import { progressOn } from "../cluster/progress.ts";
import { DEBIAN_LOCK, newestLock, readDebianLock } from "./debian.ts";
import { buildImage, IMAGE_NAMES, type ImageName } from "./images.ts";

async function build(name: ImageName, options: { readonly output?: string }): Promise<void> {
  const output = options.output === undefined ? {} : { output: resolve(options.output) };
  const image = await buildImage(name, { ...output, progress: progressOn() });
  console.log(`image    ${image.name}`);
  console.log(`digest   ${image.digest}`);
  console.log(`size     ${(image.sizeBytes / 1e6).toFixed(1)} MB`);
  console.log(`file     ${image.path}`);
}

async function update(): Promise<void> {
  const before = await readDebianLock();
  const after = await newestLock(before, progressOn());
  await writeFile(DEBIAN_LOCK, `${JSON.stringify(after, null, 2)}\n`);
  for (const [index, { name, version }] of after.packages.entries()) {
    const was = before.packages[index]?.version;
    console.log(`${name.padEnd(16)} ${was === version ? `${version} still` : `${was} -> ${version}`}`);
  }
}

const program = new Command("image").description("Container images, made without a daemon");

program
  .command("build")
  .description("write an image as a tar file that `docker load` and `ctr images import` read")
  .addArgument(new Argument("<image>", "which").choices(IMAGE_NAMES))
  .option("--output <file>", "where to (default: dist/images/IMAGE.tar)")
  .action(build);
program.command("update").description("pin the newest Debian packages that this machine's sources have").action(update);

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
