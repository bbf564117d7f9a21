import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { silent } from "../cluster/progress.ts";
import { type DebianPin, fetchPinned, readDebianLock } from "./debian.ts";
import { scratchFolder } from "./image.test-support.ts";

const at = scratchFolder();
const content = "a package";
const pinned: DebianPin = {
  name: "libx",
  version: "1:2.0-1+b1",
  architecture: "amd64",
  sha256: createHash("sha256").update(content).digest("hex"),
};
const FILE = "libx_1%3a2.0-1+b1_amd64.deb";
let count = 0;
let folder: string;

/** The only programs there are: a shell and an apt-get that is this script. */
function aptIs(script: string | undefined): void {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  if (script !== undefined) writeFileSync(join(bin, "apt-get"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", bin);
}
const cache = () => join(folder, "cache");
const fetchIt = () => fetchPinned(pinned, cache(), silent);

beforeEach(() => {
  folder = at(`${count++}`);
  mkdirSync(folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe("a pinned package", () => {
  test("is fetched once, by name and version, and kept", async () => {
    aptIs(`[ "$*" = "download libx=1:2.0-1+b1" ] && printf '${content}' > '${FILE}'`);
    const path = await fetchIt();
    expect(path).toBe(join(cache(), FILE));
    writeFileSync(join(folder, "bin", "apt-get"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    expect(await fetchIt()).toBe(path);
    expect(readdirSync(cache())).toEqual([FILE]);
  });

  test("is tried again with fresh lists when this machine's are old", async () => {
    aptIs(`case "$*" in
      "download "*) exit 100;;
      *" update") echo > '${folder}/updated';;
      *" download libx=1:2.0-1+b1") [ -e '${folder}/updated' ] && printf '${content}' > '${FILE}';;
    esac`);
    expect(await fetchIt()).toBe(join(cache(), FILE));
  });

  test("that is not what was pinned is refused, and not kept", async () => {
    aptIs(`printf 'something else' > '${FILE}'`);
    await expect(fetchIt()).rejects.toThrow(/is not the pinned libx 1:2\.0-1\+b1: its SHA-256 is [0-9a-f]{64}, /);
    expect(readdirSync(cache())).toEqual([]);
  });

  test("that was changed where it is kept is refused", async () => {
    mkdirSync(cache());
    writeFileSync(join(cache(), FILE), "changed");
    await expect(fetchIt()).rejects.toThrow(/cache\/libx.* is not the pinned libx .* Remove it, and build again\./);
  });

  test("that the mirror has no more says how to pin another and where to put this one", async () => {
    aptIs(`case "$*" in
      *" update") exit 0;;
      *) echo "E: Version '1:2.0-1+b1' for 'libx' was not found" >&2; exit 100;;
    esac`);
    await expect(fetchIt()).rejects.toThrow(
      /libx 1:2\.0-1\+b1 cannot be had .*was not found.*npm run image -- update.*put it at .*\/cache\/libx_1%3a2/,
    );
  });

  test("without a network says what apt says", async () => {
    aptIs(`echo "E: Failed to fetch the lists" >&2; exit 100`);
    await expect(fetchIt()).rejects.toThrow(/apt-get .*E: Failed to fetch the lists/);
  });

  test("on a system without apt says where images can be built", async () => {
    aptIs(undefined);
    await expect(fetchIt()).rejects.toThrow("no apt-get on the PATH. Images are built from packages of Debian");
  });
});

test("the pins are sorted, so that an update shows what it changed", async () => {
  const names = (await readDebianLock()).packages.map(({ name }) => name);
  expect(names).toEqual(names.toSorted());
});
