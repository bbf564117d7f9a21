/** What kwok does to pods and nodes, written down as its Stages. Annotations of a pod say how it fares; see README.md. */

const selector = (...expressions: readonly (readonly [key: string, operator: string, ...values: string[]])[]) => ({
  matchExpressions: expressions.map(([key, operator, ...values]) => ({
    jq: values.length > 0 ? { key, operator, values } : { key, operator },
  })),
});

const annotation = (name: string): string => `.metadata.annotations["fake-kubelet/${name}"]`;
/** The same in a Go template. */
const templateAnnotation = (name: string): string => `index (or .metadata.annotations dict) "fake-kubelet/${name}"`;

const PHASE = ".status.phase";
const DELETED = ".metadata.deletionTimestamp";
/** The condition in which the Running stage notes when the pod will end. A delay counted from "now" would start again with every change of the pod. */
const RUN_ENDS = "fake-kubelet/RunEnds";

/**
 * Only of the version that the Stage was chosen for. A kwok that lags behind would play the end of a run on a pod that has
 * been terminated since, and turn what has failed into a success, as no kubelet does. Refused, it is dropped: the newer
 * version has its own Stage.
 */
const statusPatch = (status: string) => {
  const template = `metadata:
  resourceVersion: {{ .metadata.resourceVersion | Quote }}
status:
${status.replaceAll(/^/gm, "  ")}`;
  return [{ patch: { subresource: "status", template, type: "strategic" } }];
};

interface Terminated {
  readonly phase: string;
  /** Go templates. */
  readonly exitCode: string;
  readonly reason: string;
  readonly podReason?: string;
}

/** The status of a pod whose containers have all ended, as a kubelet writes it. */
function terminatedStatus(end: Terminated): string {
  return `
{{ $now := Now }}
{{ $root := . }}
{{ $exitCode := ${end.exitCode} }}
{{ $reason := ${end.reason} }}
phase: ${end.phase}
${end.podReason ?? ""}
conditions:
{{ range list "Ready" "ContainersReady" }}
- type: {{ . }}
  status: "False"
  reason: {{ if eq "${end.phase}" "Succeeded" }}PodCompleted{{ else }}PodFailed{{ end }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range $index, $item := .spec.containers }}
- name: {{ $item.name | Quote }}
  image: {{ $item.image | Quote }}
  imageID: ""
  containerID: fake://{{ $root.metadata.uid }}/{{ $index }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{ $exitCode }}
      reason: {{ $reason | Quote }}
      startedAt: {{ or $root.status.startTime $now | Quote }}
      finishedAt: {{ $now | Quote }}
      containerID: fake://{{ $root.metadata.uid }}/{{ $index }}
{{ end }}
`;
}

const runningStatus = `
{{ $now := Now }}
{{ $root := . }}
{{ $runs := ${templateAnnotation("duration")} }}
{{ if and (not $runs) (${templateAnnotation("exit-code")}) }}{{ $runs = "0s" }}{{ end }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
{{ range list "PodReadyToStartContainers" "Initialized" "Ready" "ContainersReady" }}
- type: {{ . }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
{{ if $runs }}
- type: ${RUN_ENDS}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
  message: {{ now | mustDateModify $runs | date "2006-01-02T15:04:05.999999999Z07:00" | Quote }}
{{ end }}
containerStatuses:
{{ range $index, $item := .spec.containers }}
- name: {{ $item.name | Quote }}
  image: {{ $item.image | Quote }}
  imageID: ""
  containerID: fake://{{ $root.metadata.uid }}/{{ $index }}
  ready: true
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
{{ with PodIPWith .spec.nodeName (or .spec.hostNetwork false) .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ . | Quote }}
podIPs:
- ip: {{ . | Quote }}
{{ end }}
`;

const rejectedStatus = `
phase: Failed
startTime: {{ Now | Quote }}
reason: {{ ${templateAnnotation("reject")} | Quote }}
message: "Pod was rejected: {{ ${templateAnnotation("reject")} }}"
`;

const waitingStatus = `
{{ $reason := ${templateAnnotation("waiting")} }}
phase: Pending
startTime: {{ Now | Quote }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: {{ $reason | Quote }}
{{ end }}
`;

const delayFrom = (expression: string, defaultMs: number) => ({
  durationMilliseconds: defaultMs,
  durationFrom: { jq: { expression } },
});

const stage = (kind: "Pod" | "Node", name: string, spec: Readonly<Record<string, unknown>>) => ({
  apiVersion: "kwok.x-k8s.io/v1alpha1",
  kind: "Stage",
  metadata: { name },
  spec: { resourceRef: { apiGroup: "v1", kind }, ...spec },
});

const startStages = [
  stage("Pod", "pod-run", {
    selector: selector(
      [DELETED, "DoesNotExist"],
      [PHASE, "In", "Pending"],
      [annotation("reject"), "DoesNotExist"],
      [annotation("waiting"), "DoesNotExist"],
    ),
    delay: delayFrom(annotation("start-delay"), 0),
    steps: statusPatch(runningStatus),
  }),
  stage("Pod", "pod-reject", {
    selector: selector([DELETED, "DoesNotExist"], [PHASE, "In", "Pending"], [annotation("reject"), "Exists"]),
    steps: statusPatch(rejectedStatus),
  }),
  stage("Pod", "pod-wait", {
    selector: selector(
      [DELETED, "DoesNotExist"],
      [PHASE, "In", "Pending"],
      [annotation("reject"), "DoesNotExist"],
      [annotation("waiting"), "Exists"],
      [".status.containerStatuses", "DoesNotExist"],
    ),
    steps: statusPatch(waitingStatus),
  }),
];

const runEnds = `.status.conditions[] | select(.type == "${RUN_ENDS}") | .message`;
const running = [
  [DELETED, "DoesNotExist"],
  [PHASE, "In", "Running"],
  [annotation("kill"), "DoesNotExist"],
] as const;

const endStages = [
  stage("Pod", "pod-complete", {
    selector: selector(...running, [runEnds, "Exists"], [`${annotation("exit-code")} // "0"`, "In", "0"]),
    delay: delayFrom(runEnds, 0),
    steps: statusPatch(terminatedStatus({ phase: "Succeeded", exitCode: "0", reason: '"Completed"' })),
  }),
  stage("Pod", "pod-fail", {
    selector: selector(...running, [runEnds, "Exists"], [`${annotation("exit-code")} // "0"`, "NotIn", "0"]),
    delay: delayFrom(runEnds, 0),
    steps: statusPatch(
      terminatedStatus({ phase: "Failed", exitCode: templateAnnotation("exit-code"), reason: '"Error"' }),
    ),
  }),
  stage("Pod", "pod-kill", {
    selector: selector([DELETED, "DoesNotExist"], [PHASE, "In", "Running"], [annotation("kill"), "Exists"]),
    steps: statusPatch(
      terminatedStatus({
        phase: "Failed",
        exitCode: "137",
        reason: templateAnnotation("kill"),
        // An eviction is the pod's own reason; an OOM kill is its container's alone.
        podReason: `{{ if eq $reason "Evicted" }}reason: Evicted{{ end }}`,
      }),
    ),
  }),
];

/**
 * A kubelet ends a deleted pod's containers, writes a terminal phase, and deletes the pod with no grace left; the API server
 * then removes it once its finalizers are gone. kwok's own pod-delete Stages empty the finalizers instead, which would let
 * an operator's pods vanish before it has seen how they ended.
 */
const deleteStages = [
  stage("Pod", "pod-terminate", {
    selector: selector([DELETED, "Exists"], [PHASE, "In", "Pending", "Running"]),
    delay: delayFrom(
      `if ${annotation("stop")} == "grace" then ${DELETED} else (${annotation("stop")} // "100ms") end`,
      100,
    ),
    steps: statusPatch(
      terminatedStatus({
        phase: "Failed",
        exitCode: `ternary 137 143 (eq (${templateAnnotation("stop")}) "grace")`,
        reason: '"Error"',
      }),
    ),
  }),
  stage("Pod", "pod-remove", {
    selector: selector(
      [DELETED, "Exists"],
      [PHASE, "In", "Succeeded", "Failed"],
      // 0 already: the API server is waiting for the finalizers only.
      [".metadata.deletionGracePeriodSeconds | tostring", "NotIn", "0"],
    ),
    steps: [{ delete: true }],
  }),
];

const nodeStatus = (status: string, reason: string) => `
conditions:
- type: Ready
  status: "${status}"
  reason: ${reason}
  message: set by an annotation
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
`;
const READY = '.status.conditions[] | select(.type == "Ready") | .status';

const nodeStages = [
  stage("Node", "node-ready", {
    selector: selector([READY, "NotIn", "True"], [annotation("not-ready"), "DoesNotExist"]),
    steps: statusPatch(nodeStatus("True", "KubeletReady")),
  }),
  stage("Node", "node-not-ready", {
    selector: selector([READY, "NotIn", "False"], [annotation("not-ready"), "Exists"]),
    steps: statusPatch(nodeStatus("False", "KubeletNotReady")),
  }),
];

/** kwok's configuration file: JSON documents, which are YAML documents. */
export function kwokConfig(): string {
  const configuration = {
    apiVersion: "config.kwok.x-k8s.io/v1alpha1",
    kind: "KwokConfiguration",
    // All of them: beside a file kwok does not fill in its defaults, and with 0 workers it ends or does nothing.
    options: {
      podPlayStageParallelism: 16,
      nodePlayStageParallelism: 4,
      nodeLeaseParallelism: 4,
      podsOnNodeSyncParallelism: 4,
    },
  };
  return [configuration, ...startStages, ...endStages, ...deleteStages, ...nodeStages]
    .map((document) => JSON.stringify(document))
    .join("\n---\n");
}
