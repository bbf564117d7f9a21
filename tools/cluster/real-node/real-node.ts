/** A node with containerd and a kubelet, which runs pods as real containers, on this machine and apart from it. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildImage, type ImageName } from "../../image/images.ts";
import { runProgram } from "../../image/run-program.ts";
import type { ApiClient, Json } from "../api-client.ts";
import type { Identity, ProcessName } from "../cluster.ts";
import type { Progress } from "../progress.ts";
import type { ProcessSpec } from "../supervisor-protocol.ts";
import { waitFor } from "../wait.ts";
import { makeCgroups } from "./cgroups.ts";
import {
  cniConfig,
  containerdSocket,
  containerdToml,
  kubeletConfig,
  kubeProxyConfig,
  MACHINE_SCRIPT,
  NODE_IP,
  type NodePlaces,
  staticPods,
} from "./node-config.ts";
import { withNodePrograms } from "./node-programs.ts";
import type { Part } from "./part.ts";

/** What a node needs of the cluster it is in. */
export interface NodeHost {
  readonly dir: string;
  readonly api: ApiClient;
  readonly processes: {
    pid(name: ProcessName): number;
    running(): ProcessName[];
    kill(name: ProcessName): Promise<void>;
  };
  kubeconfigFor(identity: Identity): Promise<string>;
  start(part: Part): Promise<void>;
  /** Their end is not worth a word. */
  expectEnd(names: readonly ProcessName[]): void;
}

const NAME = "real-node";
const PATH = `/api/v1/nodes/${NAME}`;
/** What runs on it, in the order in which it starts; it ends with the first. */
const ON_NODE = ["machine", "containerd", "kubelet", "kube-proxy"] as const satisfies ProcessName[];
type OnNode = (typeof ON_NODE)[number];

export class RealNode {
  readonly name = NAME;
  readonly #host: NodeHost;
  readonly #places: NodePlaces;
  readonly #binaries: Readonly<Record<string, string>>;
  readonly #kubeconfigs = new Map<string, string>();

  /** @param software the folder of the unpacked packages, and the paths of kubelet and kube-proxy */
  constructor(
    host: NodeHost,
    software: { readonly programs: string; readonly binaries: Readonly<Record<string, string>> },
  ) {
    this.#host = host;
    this.#binaries = software.binaries;
    // Whoever removes the cluster's folder removes control groups of its name.
    this.#places = { dir: join(host.dir, "node"), programs: software.programs, cgroup: basename(host.dir) };
  }

  get staticPods(): string {
    return staticPods(this.#places);
  }

  /** Starts it with these images and the pause image, and returns when it is Ready. */
  async start(images: readonly ImageName[], progress: Progress): Promise<void> {
    const { dir, cgroup } = this.#places;
    makeCgroups(cgroup);
    for (const folder of ["cni", "pod-logs", "static-pods", "images"])
      mkdirSync(join(dir, folder), { recursive: true });
    const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
    write("resolv.conf", "");
    write("cni/pods.conflist", cniConfig(this.#places));
    write("kubelet.json", kubeletConfig(this.#places));
    this.#kubeconfigs.set(
      "kubelet",
      await this.#host.kubeconfigFor({ user: `system:node:${NAME}`, groups: ["system:nodes"] }),
    );
    write("kube-proxy.json", kubeProxyConfig(await this.#host.kubeconfigFor({ user: "system:kube-proxy" })));
    const pause = await this.#build("pause", progress);
    write("containerd.toml", containerdToml(this.#places, pause.name));
    await this.#startParts("machine", "containerd");
    await this.#import(pause.path);
    for (const name of images) await this.addImage(name, progress);
    await this.#startParts("kubelet", "kube-proxy");
    await this.#untilReady();
  }

  /** Builds one of our images and gives it to containerd; returns its name. */
  async addImage(name: ImageName, progress: Progress): Promise<string> {
    const image = await this.#build(name, progress);
    await this.#import(image.path);
    return image.name;
  }

  /** Every process on the node ends at once, as if its power were cut. */
  async cutPower(): Promise<void> {
    this.#host.expectEnd(ON_NODE);
    await this.#host.processes.kill("machine");
    await waitFor("all on the node to end", () => {
      const running = this.#host.processes.running();
      return !ON_NODE.some((name) => running.includes(name));
    });
    rmSync(join(this.#places.dir, "machine.ready"));
  }

  /** Starts it again after `cutPower`, and returns when it is Ready. */
  async boot(): Promise<void> {
    const before = await this.#host.api.get(PATH);
    await this.#startParts(...ON_NODE);
    await this.#untilReady(readySince(before));
  }

  async #startParts(...names: readonly OnNode[]): Promise<void> {
    for (const name of names) await this.#host.start(this.#parts[name]);
  }

  readonly #parts: Readonly<Record<OnNode, Part>> = {
    machine: {
      name: "machine",
      spec: () =>
        this.#spec(
          "machine",
          this.#inNetwork([
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-ec",
            MACHINE_SCRIPT,
            this.#places.dir,
          ]),
          true,
        ),
      works: { what: "the node's namespaces", look: async () => existsSync(join(this.#places.dir, "machine.ready")) },
    },
    containerd: {
      name: "containerd",
      spec: () =>
        this.#onNode("containerd", [
          join(this.#places.programs, "usr/bin/containerd"),
          "--config",
          join(this.#places.dir, "containerd.toml"),
        ]),
      works: { what: "containerd", look: () => this.#ctr("version") },
    },
    kubelet: {
      name: "kubelet",
      spec: () =>
        this.#onNode("kubelet", [
          this.#binaries.kubelet ?? "",
          `--config=${join(this.#places.dir, "kubelet.json")}`,
          `--kubeconfig=${this.#kubeconfigs.get("kubelet")}`,
          `--root-dir=${join(this.#places.dir, "kubelet")}`,
          `--hostname-override=${NAME}`,
          `--node-ip=${NODE_IP}`,
        ]),
      works: { what: "the kubelet to register its node", look: () => this.#host.api.get(PATH) },
    },
    "kube-proxy": {
      name: "kube-proxy",
      spec: () =>
        this.#onNode("kube-proxy", [
          this.#binaries["kube-proxy"] ?? "",
          `--config=${join(this.#places.dir, "kube-proxy.json")}`,
          `--hostname-override=${NAME}`,
        ]),
    },
  };

  #inNetwork(words: readonly string[]): string[] {
    return ["nsenter", `--net=/proc/${this.#host.processes.pid("network")}/ns/net`, "--", ...words];
  }

  #onNode(name: OnNode, words: readonly string[]): ProcessSpec {
    const machine = `${this.#host.processes.pid("machine")}`;
    const enter = ["nsenter", "--target", machine, "--mount", "--net", "--pid", "--"];
    return this.#spec(name, [...enter, ...withNodePrograms(this.#places.programs), ...words], true);
  }

  #spec(name: OnNode, [command = "", ...args]: readonly string[], forks: boolean): ProcessSpec {
    return { name, command, args, forks, logFile: join(this.#host.dir, `${name}.log`) };
  }

  async #build(name: ImageName, progress: Progress) {
    return buildImage(name, { output: join(this.#places.dir, "images", `${name}.tar`), progress });
  }

  async #import(path: string): Promise<void> {
    await this.#ctr("--namespace", "k8s.io", "images", "import", path);
    rmSync(path);
  }

  #ctr(...words: readonly string[]): Promise<Buffer> {
    const ctr = join(this.#places.programs, "usr/bin/ctr");
    const [command = "", ...args] = [
      ...withNodePrograms(this.#places.programs),
      ctr,
      "--address",
      containerdSocket(this.#places),
      ...words,
    ];
    return runProgram(command, args, { ifMissing: "" });
  }

  async #untilReady(holds: (node: Json) => boolean = () => true): Promise<void> {
    await waitFor(
      `node ${NAME} to be ready`,
      async () => {
        const node = await this.#host.api.get(PATH);
        return ready(node)?.status === "True" && node.spec.taints === undefined && holds(node);
      },
      { timeoutMs: 120_000 },
    );
  }
}

const ready = (node: Json) => node.status.conditions?.find(({ type }: Json) => type === "Ready");

/** Whether a node that may still look Ready from before has been heard of since. */
const readySince = (before: Json) => (node: Json) =>
  ready(node)?.lastHeartbeatTime !== ready(before)?.lastHeartbeatTime;
