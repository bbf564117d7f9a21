/** What the programs of a real node read: files as text, and the addresses in them. */

/** The node's network is its own, so its addresses are the same in every cluster. */
export const NODE_IP = "192.168.77.1";
const POD_CIDR = "10.244.0.0/24";
const SERVICE_CIDR = "10.96.0.0/16";
/** Where a cluster's name server would be. There is none; the kubelet wants an address for the pods' resolv.conf. */
const DNS_IP = "10.96.0.10";

/** Where things are on a node. */
export interface NodePlaces {
  /** For the node's own files; what is in it outlives a reboot. */
  readonly dir: string;
  /** The programs that are unpacked packages. */
  readonly programs: string;
  /** Of the pods' control groups. */
  readonly cgroup: string;
}

export const containerdSocket = ({ dir }: NodePlaces) => `${dir}/containerd.sock`;

export const staticPods = ({ dir }: NodePlaces) => `${dir}/static-pods`;

/** Of containerd 1.6. */
export function containerdToml(places: NodePlaces, pauseImage: string): string {
  const { dir, programs } = places;
  return `
version = 2
root = "${dir}/containerd"
# Gone after a reboot, as the containers themselves.
state = "/run/containerd-state"
[grpc]
address = "${containerdSocket(places)}"
[plugins."io.containerd.internal.v1.opt"]
path = "${dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${pauseImage}"
# In containers and on hardened machines root may not lower it, and every sandbox would fail.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${programs}/usr/lib/cni"
conf_dir = "${dir}/cni"
`;
}

/** A bridge for the pods. Nothing leads out of it but to the API server and to other pods. */
export const cniConfig = ({ dir }: NodePlaces) =>
  JSON.stringify({
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "pods0",
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: `${dir}/addresses`,
          ranges: [[{ subnet: POD_CIDR }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  });

/** Anybody may ask this kubelet anything: only the cluster's own processes and pods are in its network. */
export const kubeletConfig = (places: NodePlaces) =>
  JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    containerRuntimeEndpoint: `unix://${containerdSocket(places)}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${places.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    clusterDNS: [DNS_IP],
    clusterDomain: "cluster.local",
    resolvConf: `${places.dir}/resolv.conf`,
    podLogsDir: `${places.dir}/pod-logs`,
    staticPodPath: staticPods(places),
    serializeImagePulls: false,
    // The images were put there, and nobody could fetch them again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
  });

export const kubeProxyConfig = (kubeconfig: string) =>
  JSON.stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    clientConnection: { kubeconfig },
    clusterCIDR: POD_CIDR,
    // These would be the whole machine's.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  });

/** Settings of the kernel that a kubelet writes where they differ, and which are the whole machine's. */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

/** A network of its own, in which the node has an address and services lead to where kube-proxy catches them. */
export const NETWORK_SCRIPT = `
ip link set lo up
ip link add node0 type bridge
ip address add ${NODE_IP}/24 dev node0
ip link set node0 up
ip route add ${SERVICE_CIDR} dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$0"
exec sleep infinity
`;

/** Where its programs insist on writing: a node has these for itself, and after a reboot they are empty. */
export const OWN_FOLDERS = ["/run", "/var/lib", "/var/log"];

/**
 * The first process of the node's process namespace: with it everything on the node ends. It shows the programs
 * kernel settings as they want them, and reaps.
 */
export const MACHINE_SCRIPT = `
for folder in ${OWN_FOLDERS.join(" ")}; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir -p /run/settings
${Object.entries(KERNEL_SETTINGS)
  .map(
    ([path, value], index) =>
      `if [ -e /proc/sys/${path} ]; then echo ${value} > /run/settings/${index}; mount --bind /run/settings/${index} /proc/sys/${path}; fi`,
  )
  .join("\n")}
touch "$0/machine.ready"
sleep infinity & wait
`;
