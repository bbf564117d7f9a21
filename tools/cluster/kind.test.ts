import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startKindCluster } from "./kind.ts";
import { silent } from "./progress.ts";

let folder: string;
let kind: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fake-kind-"));
  kind = join(folder, "kind");
  writeFileSync(join(folder, "clusters"), "kind\n");
  play("");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A kind that writes down what it is told and knows clusters by name; `more` is done first. */
function play(more: string): void {
  const script = `#!/bin/bash
cd "$(dirname "$0")"
echo "$*" >> calls
while [ $# -gt 0 ]; do
  words+=("$1")
  case "$1" in
    --name) name=$2 ;;
    --kubeconfig) kubeconfig=$2 ;;
  esac
  shift
done
verb="\${words[0]}"
${more}
case "$verb" in
  create) echo "$name" >> clusters; echo "of $name" > "$kubeconfig" ;;
  get) cat clusters ;;
  load) [ -s "\${words[2]}" ] || exit 3 ;;
  delete) grep -vx "$name" clusters > rest; mv rest clusters ;;
esac
`;
  writeFileSync(kind, script);
  chmodSync(kind, 0o755);
}

const calls = (verb: string) =>
  readFileSync(join(folder, "calls"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`${verb} `));
const clusters = () => readFileSync(join(folder, "clusters"), "utf8").trim().split("\n");
const build = async (image: string, file: string) => writeFileSync(file, image);
const start = (env: Record<string, string> = {}) =>
  startKindCluster({ progress: silent, env, images: ["operator", "workload"], kind, build });

describe("a cluster of kind", () => {
  test("has a name and a kubeconfig of its own, and our images, until it is stopped", async () => {
    const [one, two] = [await start(), await start()];
    expect(one.name).not.toBe(two.name);
    expect(readFileSync(one.kubeconfigPath, "utf8")).toBe(`of ${one.name}\n`);
    expect(calls("create")[0]).toMatch(
      new RegExp(`^create cluster --name ${one.name} --kubeconfig ${one.kubeconfigPath} --wait \\d+s$`),
    );
    expect(calls("load").filter((line) => line.endsWith(one.name))).toEqual([
      expect.stringMatching(/^load image-archive \S+operator\.tar --name /),
      expect.stringMatching(/^load image-archive \S+workload\.tar --name /),
    ]);
    expect(clusters()).toEqual(["kind", one.name, two.name]);
    await Promise.all([one.stop(), one.stop()]);
    expect(clusters()).toEqual(["kind", two.name]);
    expect(existsSync(one.kubeconfigPath)).toBe(false);
    await two.stop();
    expect(clusters()).toEqual(["kind"]);
  });

  test("stays with KEEP=1, and no later run takes it for one that was left over", async () => {
    const kept = await start({ KEEP: "1" });
    await kept.stop();
    const other = await start();
    await other.stop();
    expect(clusters()).toEqual(["kind", kept.name]);
    expect(existsSync(kept.kubeconfigPath)).toBe(true);
    rmSync(join(kept.kubeconfigPath, ".."), { recursive: true });
  });

  test("of a run that was killed is deleted by the next one; that of a run beside us is not", async () => {
    const ended = spawn("true");
    await once(ended, "exit");
    writeFileSync(join(folder, "clusters"), `kind\nproffer-${ended.pid}-abc123\nproffer-${process.pid}-abc123\n`);
    const cluster = await start();
    expect(clusters()).toEqual(["kind", `proffer-${process.pid}-abc123`, cluster.name]);
    await cluster.stop();
  });

  test.each([
    ["cannot be created", "create"],
    ["does not take our image", "load"],
  ])("is gone when it %s, and what kind said is told", async (_, verb) => {
    play(`[ $verb = ${verb} ] && { echo "$name" >> clusters; echo "ERROR: no luck" >&2; exit 1; }`);
    await expect(start()).rejects.toThrow(new RegExp(`^kind ${verb} \\S+ failed: ERROR: no luck$`));
    expect(clusters()).toEqual(["kind"]);
  });

  test("needs Docker, and says so", async () => {
    play('echo "ERROR: failed to list clusters: Cannot connect to the Docker daemon" >&2; exit 1');
    await expect(start()).rejects.toThrow(/Cannot connect to the Docker daemon\nCLUSTER=kind needs Docker/);
  });

  test("is deleted when its run ends without stopping it", async () => {
    const script = `
      const { startKindCluster } = await import(${JSON.stringify(new URL("kind.ts", import.meta.url).href)});
      const progress = { update: () => {}, done: () => {} };
      await startKindCluster({ progress, env: {}, images: [], kind: ${JSON.stringify(kind)} });
      process.exit(7);
    `;
    const run = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
    expect(await once(run, "exit")).toEqual([7, null]);
    expect(calls("create")).toHaveLength(1);
    expect(clusters()).toEqual(["kind"]);
  });
});
