/** Container images without a daemon: one tar file that is an OCI layout, and what `docker load` reads as well. */
import { createHash } from "node:crypto";
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Entry, type RegularFile, type Written, writeTar } from "./tar.ts";

/** What a container of the image starts with: the part of an OCI image configuration that is the image's own affair. */
export interface RunConfig {
  /** Numeric, `65532:65532`: a kubelet cannot tell whether a name means root. */
  readonly User: string;
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** Files that change together. Later layers lie over earlier ones. */
export interface Layer {
  /** For `docker history`. */
  readonly comment: string;
  readonly entries: readonly Entry[];
}

export interface ImageDescription {
  /** Such as `proffer:0.1.0`. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly config: RunConfig;
}

export interface WrittenImage {
  /** The tar file. */
  readonly path: string;
  /** The name in full, as a container runtime lists it: `docker.io/library/proffer:0.1.0`. */
  readonly name: string;
  /** Of the manifest: what `name@digest` means. */
  readonly digest: string;
  /** Of all layers unpacked, as tar files; what a node needs for it, and near to what the tar file has. */
  readonly sizeBytes: number;
}

type JsonFile = RegularFile & { readonly content: string };

const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  // Not compressed: what a compressor writes differs between its versions and even between processors.
  layer: "application/vnd.oci.image.layer.v1.tar",
};
/** When everything was made, so that two builds are the same. */
const EPOCH = "1970-01-01T00:00:00Z";
const PLATFORM = { architecture: "amd64", os: "linux" };

/**
 * Writes the image to `path`, in a folder that is there; the file appears only when it is whole. The digest depends on the
 * description and the files' contents alone. Takes about a second for each 100 MB.
 */
export async function writeImage(image: ImageDescription, path: string): Promise<WrittenImage> {
  const name = fullName(image.name);
  await checkPlace(path);
  // Beside the result, so that it can be moved there.
  const scratch = await mkdtemp(join(dirname(path), ".image-"));
  try {
    const layers: (Written & { readonly source: string })[] = [];
    for (const [index, { entries }] of image.layers.entries()) {
      const source = join(scratch, `layer-${index}.tar`);
      layers.push({ ...(await writeTar(entries, source)), source });
    }
    const { files, digest } = layout(image, name, layers);
    const whole = join(scratch, "image.tar");
    await writeTar(files, whole);
    await rename(whole, path);
    return { path, name, digest, sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Folders are not made for the caller: a mistyped one would be, and some cannot be made at all. */
async function checkPlace(path: string): Promise<void> {
  const kind = (place: string) =>
    stat(place).then(
      (found) => (found.isDirectory() ? "folder" : "file"),
      () => "nothing",
    );
  if ((await kind(dirname(path))) !== "folder") throw new Error(`no folder ${dirname(path)} to write the image into`);
  if ((await kind(path)) === "folder") throw new Error(`${path} is a folder: name the file to write the image to`);
}

function layout(
  image: ImageDescription,
  name: string,
  layers: readonly (Written & { readonly source: string })[],
): { readonly files: Entry[]; readonly digest: string } {
  const config = blob({
    created: EPOCH,
    ...PLATFORM,
    config: image.config,
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
    history: image.layers.map(({ comment }) => ({ created: EPOCH, created_by: comment })),
  });
  const manifest = blob({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: descriptor(MEDIA.config, config),
    layers: layers.map(({ digest, sizeBytes }) => ({ mediaType: MEDIA.layer, digest, size: sizeBytes })),
  });
  const tag = name.slice(name.lastIndexOf(":") + 1);
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [
      {
        ...descriptor(MEDIA.manifest, manifest),
        platform: PLATFORM,
        // containerd takes the name from the first, tools that copy layouts the tag from the second.
        annotations: { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag },
      },
    ],
  };
  // What `docker load` reads; it may name the same blobs.
  const forDocker = [{ Config: config.path, RepoTags: [name], Layers: layers.map(({ digest }) => blobPath(digest)) }];
  // Two layers may be the same bytes, and are one blob then.
  const layerBlobs = new Map(layers.map(({ digest, source }) => [digest, source]));
  const files: Entry[] = [
    config,
    manifest,
    ...[...layerBlobs].map(([digest, source]): Entry => ({ type: "file", path: blobPath(digest), source })),
    { type: "file", path: "index.json", content: JSON.stringify(index) },
    { type: "file", path: "manifest.json", content: JSON.stringify(forDocker) },
    { type: "file", path: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
  ];
  return { files, digest: digestOf(manifest.content) };
}

const digestOf = (content: string) => `sha256:${createHash("sha256").update(content).digest("hex")}`;
const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`;

function blob(value: unknown): JsonFile {
  const content = JSON.stringify(value);
  return { type: "file", path: blobPath(digestOf(content)), content };
}

function descriptor(mediaType: string, { content }: JsonFile) {
  return { mediaType, digest: digestOf(content), size: Buffer.byteLength(content) };
}

const PART = "[a-z0-9]+(?:[._-]+[a-z0-9]+)*";
const NAME = new RegExp(`^(?:${PART}(?::[0-9]+)?/)?${PART}(?:/${PART})*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`);

/** A name as every runtime understands it. Container runtimes take a name without a host for one of Docker's library. */
function fullName(name: string): string {
  if (!NAME.test(name)) throw new Error(`"${name}" is no name for an image: write it like proffer:0.1.0`);
  const parts = name.split("/");
  const first = parts[0] ?? "";
  if (parts.length > 1 && (/[.:]/.test(first) || first === "localhost")) return name;
  return parts.length > 1 ? `docker.io/${name}` : `docker.io/library/${name}`;
}
