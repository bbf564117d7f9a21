/** `npm run image -- COMMAND`: container images, made without a daemon. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Argument, Command } from "commander";
import { progressOn } from "../cluster/progress.ts";
import { DEBIAN_LOCK, newestLock, readDebianLock } from "./debian.ts";
import { buildImage, buildRootfs, IMAGE_NAMES, type ImageName } from "./images.ts";

interface BuildOptions {
  readonly output?: string;
  readonly revision?: string;
}

async function build(name: ImageName, { output, ...options }: BuildOptions): Promise<void> {
  const progress = progressOn();
  const image = await buildImage(name, {
    ...options,
    ...(output !== undefined && { output: resolve(output) }),
    progress,
  });
  console.log(`image    ${image.name}`);
  console.log(`digest   ${image.digest}`);
  console.log(`size     ${(image.sizeBytes / 1e6).toFixed(1)} MB`);
  console.log(`file     ${image.path}`);
}

async function rootfs(name: ImageName, folder: string): Promise<void> {
  await buildRootfs(name, resolve(folder), progressOn());
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

const image = () => new Argument("<image>", "which").choices(IMAGE_NAMES);

program
  .command("build")
  .description("write an image as a tar file that `docker load` and `ctr images import` read")
  .addArgument(image())
  .option("--output <file>", "where to (default: dist/images/IMAGE.tar)")
  .option("--revision <commit>", "what the image says it is made from (default: the checkout's commit)")
  .action(build);
program
  .command("rootfs")
  .description("write an image's files into a folder that is not there yet")
  .addArgument(image())
  .argument("<folder>")
  .action(rootfs);
program.command("update").description("pin the newest Debian packages that this machine's sources have").action(update);

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
