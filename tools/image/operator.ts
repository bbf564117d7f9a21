/** The operator's image: a few files of Debian, Node.js, and Proffer. No shell, no package manager. */
import { join } from "node:path";
import { bundle, PROGRAM_NAMES } from "../build.ts";
import type { Progress } from "../cluster/progress.ts";
import { type DebianPin, fetchDebianPackage, readDebianControl, readDebianLock, readDebianPackage } from "./debian.ts";
import { type LockedPackage, licenceFiles, NODE_PACKAGE, readLock, unpackNode } from "./npm.ts";
import { NODE_PATH, OPERATOR_IMAGE, operatorConfig, PRODUCT, PROGRAM_FOLDER, USER_ID } from "./operator-config.ts";
import { runProgram } from "./run-program.ts";
import { debianPurl, type Material, npmPurl, spdx } from "./spdx.ts";
import type { Entry } from "./tar.ts";
import type { ImageDescription, Layer } from "./write-image.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DOCS = "usr/share/doc";

/** The Debian packages in it, and which of their files: what Node.js loads, and what their licences ask for. */
const BASE: Readonly<Record<string, RegExp>> = {
  "base-files": /^(etc\/(os-release|debian_version)|usr\/lib\/os-release|usr\/share\/common-licenses\/.*)$/,
  "gcc-12-base": /^$/,
  libc6: /^(lib\/x86_64-linux-gnu\/[^/]+\.so(\.\d+)*|lib64\/[^/]+)$/,
  "libgcc-s1": /^lib\/x86_64-linux-gnu\/[^/]+$/,
  "libstdc++6": /^usr\/lib\/x86_64-linux-gnu\/[^/]+$/,
};

/** Describes the image. What it is made of is written into `scratch`, and has to stay until the image is written. */
export async function describeOperator(
  scratch: string,
  progress: Progress,
  revision?: string,
): Promise<ImageDescription & { readonly sbom: string }> {
  const { release, packages } = await readDebianLock();
  const pins = packages.filter(({ name }) => name in BASE);
  const base = await baseLayer(pins, progress);
  const node = await unpackNode(scratch, progress);
  progress.update(`${PROGRAM_NAMES.join(", ")}: bundling`);
  const bundles = await Promise.all(PROGRAM_NAMES.map((name) => bundle(name, scratch)));
  const bundled = [...new Set(bundles.flatMap((one) => one.packages))].sort();
  const sbom = spdx(PRODUCT, [
    ...(await readLock([NODE_PACKAGE, ...bundled])).map(npmMaterial),
    ...pins.map((pin) => debianMaterial(pin, release)),
  ]);
  const licences = await Promise.all(bundled.map((path) => licenceFiles(path, `${DOCS}/proffer/npm`)));
  const program: Layer = {
    comment: `${PRODUCT.name} ${PRODUCT.version}`,
    entries: [
      ...bundles.map(({ path }, index): Entry => {
        return { type: "file", path: `${PROGRAM_FOLDER}/${PROGRAM_NAMES[index]}.mjs`, source: path };
      }),
      { type: "file", path: `${DOCS}/proffer/LICENSE`, source: join(ROOT, "LICENSE") },
      { type: "file", path: `${DOCS}/proffer/sbom.spdx.json`, content: sbom },
      ...licences.flat(),
    ],
  };
  const nodeLayer: Layer = {
    comment: "Node.js",
    entries: [
      { type: "file", path: NODE_PATH, mode: 0o755, source: node.program },
      { type: "file", path: `${DOCS}/nodejs/LICENSE`, source: node.licence },
    ],
  };
  const config = operatorConfig(revision ?? (await revisionOfCheckout()));
  // What changes seldom lies below.
  return { name: OPERATOR_IMAGE, layers: [base, nodeLayer, program], config, sbom };
}

async function baseLayer(pins: readonly DebianPin[], progress: Progress): Promise<Layer> {
  const passwd = `root:x:0:0:root:/:/sbin/nologin\nproffer:x:${USER_ID}:${USER_ID}:proffer:/:/sbin/nologin\n`;
  const group = `root:x:0:\nproffer:x:${USER_ID}:\n`;
  const entries: Entry[] = [
    { type: "file", path: "etc/passwd", content: passwd },
    { type: "file", path: "etc/group", content: group },
    { type: "file", path: "etc/nsswitch.conf", content: "passwd: files\ngroup: files\nhosts: files dns\n" },
    { type: "directory", path: "tmp", mode: 0o1777 },
    // Where a container runtime mounts what it always mounts.
    ...["dev", "proc", "sys"].map((path): Entry => ({ type: "directory", path })),
  ];
  for (const { name } of pins) {
    const path = await fetchDebianPackage(name, progress);
    const kept = (await readDebianPackage(path)).filter((entry) => entry.type !== "directory" && isKept(name, entry));
    if (kept.length === 0) throw new Error(`${path} holds nothing of what the image needs`);
    entries.push(...kept);
    // How scanners learn what is there when there is no package manager.
    entries.push({ type: "file", path: `var/lib/dpkg/status.d/${name}`, content: await readDebianControl(path) });
  }
  return { comment: "files of Debian", entries };
}

/** A package's licence is a file, a link to the folder of another package, or a link to its file. */
function isKept(name: string, { path }: Entry): boolean {
  return path === `${DOCS}/${name}` || path === `${DOCS}/${name}/copyright` || BASE[name]?.test(path) === true;
}

function npmMaterial({ name, version, license, sha512 }: LockedPackage): Material {
  const checksum = { algorithm: "SHA512", checksumValue: sha512 } as const;
  return { kind: "npm", name, version, license, purl: npmPurl(name, version), checksum };
}

function debianMaterial({ name, version, architecture, sha256 }: DebianPin, release: string): Material {
  const checksum = { algorithm: "SHA256", checksumValue: sha256 } as const;
  const comment = `The licence's text is in the image at /${DOCS}/${name}/copyright`;
  return { kind: "deb", name, version, comment, purl: debianPurl(name, version, architecture, release), checksum };
}

/** The commit, with a mark when files differ from it. Outside of a git checkout nobody knows. */
async function revisionOfCheckout(): Promise<string> {
  try {
    const said = await runProgram(
      "git",
      ["-C", ROOT, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
      {
        ifMissing: "",
      },
    );
    return said.toString().trim();
  } catch {
    return "unknown";
  }
}
