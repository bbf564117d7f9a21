import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Progress } from "../cluster/progress.ts";
import { fetchDebianPackage, readDebianPackage } from "./debian.ts";
import { runProgram } from "./run-program.ts";
import type { Entry } from "./tar.ts";
import type { ImageDescription } from "./write-image.ts";

const BUSYBOX = "bin/busybox";

/** A shell and what goes with it, for the tasks of tests: one static program under all its names. */
export async function describeWorkload(scratch: string, progress: Progress): Promise<ImageDescription> {
  const entries = await readDebianPackage(await fetchDebianPackage("busybox-static", progress));
  const kept = entries.filter(({ path }) => path === BUSYBOX || path === "usr/share/doc/busybox-static/copyright");
  const busybox = kept.find((entry) => entry.path === BUSYBOX);
  if (busybox?.type !== "file" || !("content" in busybox)) throw new Error(`busybox-static holds no ${BUSYBOX}`);
  return {
    name: "workload:local",
    layers: [
      {
        comment: "busybox",
        entries: [
          ...kept,
          ...(await applets(busybox.content, scratch)),
          {
            type: "file",
            path: "etc/passwd",
            content: "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
          },
          { type: "file", path: "etc/group", content: "root:x:0:\nnobody:x:65534:\n" },
          { type: "directory", path: "tmp", mode: 0o1777 },
        ],
      },
    ],
    config: { User: "65534:65534", Cmd: ["/bin/sh"], Env: ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"] },
  };
}

/** A link for each thing that busybox can be. It knows best which. */
async function applets(busybox: string | Uint8Array, scratch: string): Promise<Entry[]> {
  const program = join(scratch, "busybox");
  await writeFile(program, busybox, { mode: 0o755 });
  const list = await runProgram(program, ["--list-full"], { ifMissing: "" });
  const paths = list
    .toString()
    .split("\n")
    .filter((path) => path !== "" && path !== BUSYBOX);
  return paths.map((path) => ({ type: "symlink", path, target: `/${BUSYBOX}` }));
}
