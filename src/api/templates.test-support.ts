import { container, type Example, task, template } from "./object-builders.test-support.ts";

type Json = Record<string, unknown>;

/** A field that is refused, with a value that Kubernetes itself would take, and part of the message. */
type Refused = [field: string, value: Json, message: string];

/** T7 of the threat model: what tasks must not ask of a pod. */
const podFields: Refused[] = [
  ["hostNetwork", { hostNetwork: true }, "host's network"],
  ["hostPID", { hostPID: true }, "host's process namespace"],
  ["hostIPC", { hostIPC: true }, "host's IPC namespace"],
  ["hostUsers", { hostUsers: false }, "hostUsers"],
  ["nodeName", { nodeName: "node-0" }, "nodeName is refused"],
  ["serviceAccountName", { serviceAccountName: "admin" }, "serviceAccountName is refused"],
  ["serviceAccount", { serviceAccount: "admin" }, "serviceAccount is refused"],
  ["automountServiceAccountToken", { automountServiceAccountToken: true }, "tokens are not mounted"],
  ["priorityClassName", { priorityClassName: "system-node-critical" }, "use the Task's priority"],
  ["priority", { priority: 2_000_000_000 }, "use the Task's priority"],
  ["preemptionPolicy", { preemptionPolicy: "Never" }, "preemptionPolicy"],
  ["runtimeClassName", { runtimeClassName: "kata" }, "runtimeClassName"],
  ["tolerations", { tolerations: [{ operator: "Exists" }] }, "use the Task's constraints.tolerations"],
  ["schedulerName", { schedulerName: "default-scheduler" }, "placed by Proffer"],
  ["ephemeralContainers", { ephemeralContainers: [{ name: "a", image: "b" }] }, "ephemeralContainers"],
  ["nodeSelector", { nodeSelector: { zone: "a" } }, "use the Task's constraints.nodeSelector"],
  ["affinity", { affinity: { nodeAffinity: {} } }, "use the Task's constraints.nodeAffinity"],
  [
    "topologySpreadConstraints",
    { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" }] },
    "use the Task's constraints.spread",
  ],
  ["resourceClaims", { resourceClaims: [{ name: "gpu", resourceClaimName: "gpu" }] }, "resource claims"],
  ["schedulingGates", { schedulingGates: [{ name: "a" }] }, "schedulingGates"],
  ["hostname", { hostname: "a" }, "hostname"],
  ["dnsConfig", { dnsConfig: { nameservers: ["1.1.1.1"] } }, "dnsConfig"],
  ["shareProcessNamespace", { shareProcessNamespace: true }, "shareProcessNamespace"],
  ["overhead", { overhead: { cpu: "1" } }, "overhead"],
  ["resources of the pod", { resources: { requests: { cpu: "1" } } }, "resources of the whole pod"],
  ["restartPolicy Always", { restartPolicy: "Always" }, "restartPolicy"],
  ["sysctls", { securityContext: { sysctls: [{ name: "kernel.shm_rmid_forced", value: "0" }] } }, "sysctls"],
  ["hostProcess", { securityContext: { windowsOptions: { hostProcess: true } } }, "hostProcess"],
  ["seLinuxOptions", { securityContext: { seLinuxOptions: { type: "spc_t" } } }, "SELinux"],
  ["appArmorProfile", { securityContext: { appArmorProfile: { type: "Unconfined" } } }, "AppArmor"],
  ["runAsUser 0", { securityContext: { runAsUser: 0 } }, "do not run as root"],
  ["runAsNonRoot false", { securityContext: { runAsNonRoot: false } }, "do not run as root"],
  ["seccomp Unconfined", { securityContext: { seccompProfile: { type: "Unconfined" } } }, "tasks run confined"],
];

const volumeSources: Json = {
  hostPath: { path: "/" },
  secret: { secretName: "a" },
  projected: { sources: [] },
  persistentVolumeClaim: { claimName: "a" },
  csi: { driver: "a" },
  ephemeral: { volumeClaimTemplate: {} },
  nfs: { server: "a", path: "/" },
  image: { reference: "a" },
  gitRepo: { repository: "a" },
  flexVolume: { driver: "a" },
};

/** The same of a container, for `containers` and `initContainers` alike. */
const containerFields: Refused[] = [
  ["privileged", { securityContext: { privileged: true } }, "privileged containers"],
  ["allowPrivilegeEscalation", { securityContext: { allowPrivilegeEscalation: true } }, "privilege escalation"],
  ["capabilities.add", { securityContext: { capabilities: { add: ["SYS_ADMIN"] } } }, "capabilities cannot be added"],
  ["procMount", { securityContext: { procMount: "Unmasked" } }, "procMount"],
  ["runAsUser 0", { securityContext: { runAsUser: 0 } }, "do not run as root"],
  ["runAsNonRoot false", { securityContext: { runAsNonRoot: false } }, "do not run as root"],
  ["seLinuxOptions", { securityContext: { seLinuxOptions: { type: "spc_t" } } }, "SELinux"],
  ["appArmorProfile", { securityContext: { appArmorProfile: { type: "Unconfined" } } }, "AppArmor"],
  ["hostProcess", { securityContext: { windowsOptions: { hostProcess: true } } }, "hostProcess"],
  ["seccomp Unconfined", { securityContext: { seccompProfile: { type: "Unconfined" } } }, "tasks run confined"],
  ["hostPort", { ports: [{ containerPort: 80, hostPort: 80 }] }, "ports of the host"],
  ["hostIP", { ports: [{ containerPort: 80, hostIP: "127.0.0.1" }] }, "addresses of the host"],
  ["resource claims", { resources: { claims: [{ name: "gpu" }] } }, "resource claims"],
  ["secretKeyRef", { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "a", key: "b" } } }] }, "secrets cannot"],
  ["secretRef", { envFrom: [{ configMapRef: { name: "a" }, secretRef: { name: "a" } }] }, "secrets cannot"],
  ["lifecycle", { lifecycle: { postStart: { exec: { command: ["a"] } } } }, "lifecycle hooks"],
  ["livenessProbe", { livenessProbe: { exec: { command: ["a"] } } }, "livenessProbe"],
  ["volumeDevices", { volumeDevices: [{ name: "a", devicePath: "/dev/a" }] }, "block devices"],
  [
    "mountPropagation",
    { volumeMounts: [{ name: "a", mountPath: "/a", mountPropagation: "Bidirectional" }] },
    "mountPropagation",
  ],
  ["PROFFER_ variables", { env: [{ name: "PROFFER_TASK_INDEX", value: "0" }] }, "set by the operator"],
  [
    "a variable of two values",
    { env: [{ name: "A", value: "a", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] },
    "not both",
  ],
  ["a variable from nowhere", { env: [{ name: "A", valueFrom: {} }] }, "exactly one of fieldRef"],
  ["negative requests", { resources: { requests: { cpu: "-1" } } }, "requests"],
];

const metadataFields: Refused[] = [
  ["the operator's labels", { labels: { "proffer.dev/queue": "other" } }, "set by the operator"],
  ["labels of the operator's subdomains", { labels: { "batch.proffer.dev/a": "b" } }, "set by the operator"],
  ["the operator's annotations", { annotations: { "proffer.dev/offer": "other" } }, "set by the operator"],
  ["finalizers", { finalizers: ["proffer.dev/tracking"] }, "finalizers of pods"],
  ["ownerReferences", { ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "a", uid: "b" }] }, "owners of pods"],
  ["namespace", { namespace: "other" }, "the Task's namespace"],
];

const confined = {
  securityContext: {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  },
};

/** Everything that a template may have. */
export const fullTemplate = template(
  {
    containers: [
      container({
        ...confined,
        command: ["sh", "-c"],
        args: ["echo $A"],
        workingDir: "/tmp",
        env: [
          { name: "A", value: "a" },
          { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels['proffer.dev/index']" } } },
          { name: "C", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
          { name: "D", valueFrom: { configMapKeyRef: { name: "settings", key: "d", optional: true } } },
        ],
        envFrom: [{ prefix: "S_", configMapRef: { name: "settings" } }],
        resources: { requests: { cpu: "500m", memory: "64Mi" }, limits: { memory: "64Mi", "nvidia.com/gpu": 1 } },
        ports: [
          { name: "http", containerPort: 8080 },
          { containerPort: 8080, protocol: "UDP" },
        ],
        volumeMounts: [{ name: "scratch", mountPath: "/scratch", subPath: "a" }],
        imagePullPolicy: "IfNotPresent",
        terminationMessagePolicy: "FallbackToLogsOnError",
      }),
    ],
    initContainers: [
      { ...container({ ...confined }), name: "proxy", restartPolicy: "Always" },
      { ...container(), name: "fetch" },
    ],
    volumes: [
      { name: "scratch", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } },
      { name: "settings", configMap: { name: "settings", items: [{ key: "a", path: "b", mode: 0o400 }] } },
      { name: "self", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
    ],
    restartPolicy: "OnFailure",
    terminationGracePeriodSeconds: 5,
    activeDeadlineSeconds: 3600,
    imagePullSecrets: [{ name: "registry" }],
    hostNetwork: false,
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      fsGroup: 1000,
      supplementalGroups: [1, 2],
      seccompProfile: { type: "RuntimeDefault" },
    },
  },
  { labels: { app: "a", "app.kubernetes.io/name": "a" }, annotations: { "example.com/note": "some text" } },
);

const refusals: [what: string, template: object, message: string][] = [
  ...podFields.map(([what, spec, message]) => [what, template(spec), message] as [string, object, string]),
  ...metadataFields.map(
    ([what, metadata, message]) => [what, template({}, metadata), message] as [string, object, string],
  ),
  ...Object.entries(volumeSources).map(
    ([type, source]) =>
      [`${type} volumes`, template({ volumes: [{ name: "a", [type]: source }] }), `${type} volumes cannot`] as [
        string,
        object,
        string,
      ],
  ),
  ["volumes of no source", template({ volumes: [{ name: "a" }] }), "exactly one source"],
  [
    "volumes of two sources",
    template({ volumes: [{ name: "a", emptyDir: {}, configMap: { name: "a" } }] }),
    "exactly one source",
  ],
  ["no containers", template({ containers: [] }), "containers"],
  ["two containers of a name", template({ containers: [container(), container()] }), "containers"],
  [
    "a sidecar among the containers",
    template({ containers: [container({ restartPolicy: "Always" })] }),
    "for sidecars",
  ],
  [
    "an init container that restarts on failure",
    template({ initContainers: [container({ restartPolicy: "OnFailure" })] }),
    "restartPolicy",
  ],
  ...containerFields.flatMap(([what, fields, message]): [string, object, string][] => [
    [`${what} in containers`, template({ containers: [container(fields)] }), message],
    [`${what} in initContainers`, template({ initContainers: [{ ...container(fields), name: "first" }] }), message],
  ]),
];

/** Templates of tasks. */
export const templateExamples: Example[] = [
  { name: "a template may have everything that is on the list", object: task({ template: fullTemplate }) },
  ...refusals.map(([what, refusedTemplate, refused]) => ({
    name: `a template must not have ${what}`,
    object: task({ template: refusedTemplate }),
    refused,
  })),
];
