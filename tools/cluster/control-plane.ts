/** The command lines of the control plane's processes. Each function says what runs, not when. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateAuthority, newKeyPem } from "./certificates.ts";
import { NODE_IP } from "./real-node/node-config.ts";
import type { ProcessSpec } from "./supervisor-protocol.ts";

export interface Ports {
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly apiserver: number;
}

export interface ControlPlane {
  readonly dir: string;
  readonly ports: Ports;
  /** Absolute paths of the binaries, by name. */
  readonly binaries: Readonly<Record<string, string>>;
  /** All is in a network of the cluster's own, with a real node. */
  readonly ownNetwork: boolean;
}

export interface Secrets {
  readonly adminToken: string;
  readonly caPem: string;
  readonly authority: CertificateAuthority;
}

type Place = Pick<ControlPlane, "dir" | "binaries">;

const spec = (plane: Place, name: string, args: readonly string[]): ProcessSpec => {
  const command = plane.binaries[name];
  if (command === undefined) throw new Error(`no binary of ${name}`);
  return { name, command, args, logFile: join(plane.dir, `${name}.log`) };
};

/** Writes the certificates, keys and tokens that the API server reads, with the names its flags below use. */
export function writeSecrets(dir: string, secrets: Secrets): void {
  const server = secrets.authority.issue({
    commonName: "kube-apiserver",
    dnsNames: ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    ipAddresses: ["127.0.0.1", "10.96.0.1", NODE_IP],
    usage: "server",
  });
  const serviceAccounts = newKeyPem();
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text, { mode: 0o600 });
  write("ca.crt", secrets.caPem);
  write("apiserver.crt", server.certPem);
  write("apiserver.key", server.keyPem);
  write("service-accounts.key", serviceAccounts.privatePem);
  write("service-accounts.pub", serviceAccounts.publicPem);
  write("tokens.csv", `${secrets.adminToken},admin,admin,"system:masters"\n`);
}

/** etcd keeps nothing past the cluster's end, so it never waits for the disk. */
export function etcd(plane: ControlPlane, extra: readonly string[]): ProcessSpec {
  const client = `http://127.0.0.1:${plane.ports.etcdClient}`;
  const peer = `http://127.0.0.1:${plane.ports.etcdPeer}`;
  return spec(plane, "etcd", [
    `--data-dir=${join(plane.dir, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--unsafe-no-fsync",
    // The default of 2 GiB is reached by a bench of some hundred thousand pods.
    "--quota-backend-bytes=8589934592",
    "--log-level=warn",
    ...extra,
  ]);
}

const ON_LOOPBACK = [
  "--bind-address=127.0.0.1",
  // Else it asks for the default route's interface, and a laptop without network has none.
  "--advertise-address=127.0.0.1",
  // A loopback address is no valid endpoint: the reconciler would fail every ten seconds.
  "--endpoint-reconciler-type=none",
];

/** Where pods reach it by the service `kubernetes`, and it reaches the kubelet. */
const IN_OWN_NETWORK = [
  "--bind-address=0.0.0.0",
  `--advertise-address=${NODE_IP}`,
  "--kubelet-preferred-address-types=InternalIP",
  "--enable-admission-plugins=NodeRestriction",
];

export interface ApiserverOptions {
  readonly extra: readonly string[];
  /** A controller-manager makes the default ServiceAccounts. */
  readonly serviceAccountAdmission: boolean;
  /** Something removes the `not-ready` taint from new nodes. */
  readonly notReadyTaint: boolean;
}

/** The API server: RBAC and the Node authorizer, tokens of ServiceAccounts, one administrator. */
export function apiserver(plane: ControlPlane, options: ApiserverOptions): ProcessSpec {
  const file = (name: string) => join(plane.dir, name);
  const disabled = [
    ...(options.serviceAccountAdmission ? [] : ["ServiceAccount"]),
    ...(options.notReadyTaint ? [] : ["TaintNodesByCondition"]),
  ];
  return spec(plane, "kube-apiserver", [
    `--etcd-servers=http://127.0.0.1:${plane.ports.etcdClient}`,
    ...(plane.ownNetwork ? IN_OWN_NETWORK : ON_LOOPBACK),
    `--secure-port=${plane.ports.apiserver}`,
    `--tls-cert-file=${file("apiserver.crt")}`,
    `--tls-private-key-file=${file("apiserver.key")}`,
    `--client-ca-file=${file("ca.crt")}`,
    `--token-auth-file=${file("tokens.csv")}`,
    "--authorization-mode=Node,RBAC",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-signing-key-file=${file("service-accounts.key")}`,
    `--service-account-key-file=${file("service-accounts.pub")}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    "--allow-privileged=true",
    // The defaults (400 and 200) are shared out among priority levels. A bench drives one client with a ServiceAccount's
    // token as hard as it can: it should find the machine's limit, not its level's share of seats.
    "--max-requests-inflight=3000",
    "--max-mutating-requests-inflight=1500",
    ...(disabled.length > 0 ? [`--disable-admission-plugins=${disabled.join(",")}`] : []),
    ...options.extra,
  ]);
}

export interface ManagerOptions {
  readonly kubeconfig: string;
  /** As in `--controllers`. */
  readonly controllers: readonly string[];
  readonly extra: readonly string[];
}

/** The controller-manager, alone: no leader election and no port to listen on. */
export function controllerManager(plane: ControlPlane, options: ManagerOptions): ProcessSpec {
  return spec(plane, "kube-controller-manager", [
    `--kubeconfig=${options.kubeconfig}`,
    "--leader-elect=false",
    "--secure-port=0",
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${join(plane.dir, "service-accounts.key")}`,
    `--root-ca-file=${join(plane.dir, "ca.crt")}`,
    `--controllers=${options.controllers.join(",")}`,
    // 20 and 30 by default: deleting a namespace of a thousand pods would take a minute.
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    ...options.extra,
  ]);
}

export interface SchedulerOptions {
  readonly kubeconfig: string;
  /** Requests a second and at once; the default of 50 and 100 is what limits a bench. */
  readonly qps: number;
  readonly burst: number;
  readonly extra: readonly string[];
}

/** The scheduler, alone: no leader election and no port to listen on. */
export function scheduler(plane: ControlPlane, options: SchedulerOptions): ProcessSpec {
  const config = join(plane.dir, "kube-scheduler.json");
  const content = {
    apiVersion: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    clientConnection: { kubeconfig: options.kubeconfig, qps: options.qps, burst: options.burst },
    leaderElection: { leaderElect: false },
  };
  writeFileSync(config, JSON.stringify(content));
  return spec(plane, "kube-scheduler", [`--config=${config}`, "--secure-port=0", ...options.extra]);
}

export interface KwokOptions {
  readonly kubeconfig: string;
  readonly config: string;
  /** 0: no leases. They cost a write a node every ten seconds and only the node lifecycle controller reads them. */
  readonly leaseSeconds: number;
}

/** kwok, for the nodes with our annotation; it listens nowhere. */
export function kwok(plane: Place, options: KwokOptions): ProcessSpec {
  return spec(plane, "kwok", [
    `--kubeconfig=${options.kubeconfig}`,
    `--config=${options.config}`,
    "--manage-all-nodes=false",
    "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
    `--node-lease-duration-seconds=${options.leaseSeconds}`,
    "--cidr=10.128.0.0/9",
    "--node-ip=127.0.0.1",
  ]);
}
