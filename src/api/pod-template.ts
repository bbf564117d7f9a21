import { z } from "zod";
import { constrained, describeIssues, int, listMap, map, shared, subdomain, text } from "./common.ts";
import { container, initContainer, labelMap } from "./container.ts";
import { PREFIX } from "./labels.ts";
import { allowList, type RefusedFields } from "./refused.ts";
import { podSecurityContext } from "./security-context.ts";
import { volume } from "./volume.ts";

/** Whether a label or annotation key is one of the operator's own: `proffer.dev/…` or `‹sub›.proffer.dev/…`. */
const isOwnKey = (key: string) => key.startsWith(PREFIX) || key.includes(`.${PREFIX}`);

const noOwnKeys = {
  cel: `self.all(key, !key.startsWith('${PREFIX}') && !key.contains('.${PREFIX}'))`,
  message: `keys of ${PREFIX} and its subdomains are set by the operator`,
  holds: (entries: Record<string, string>) => !Object.keys(entries).some(isOwnKey),
};

const USE_CONSTRAINTS = "use the Task's constraints";

/** Every other field of the core API's PodSpec. */
const refused: RefusedFields = {
  nodeSelector: ["object", `nodeSelector is refused in a template: ${USE_CONSTRAINTS}.nodeSelector`],
  affinity: ["object", `affinity is refused in a template: ${USE_CONSTRAINTS}.nodeAffinity`],
  topologySpreadConstraints: [
    "objects",
    `topologySpreadConstraints is refused in a template: ${USE_CONSTRAINTS}.spread`,
  ],
  tolerations: ["objects", `tolerations is refused in a template: ${USE_CONSTRAINTS}.tolerations`],
  nodeName: ["string", "nodeName is refused in a template: tasks run where they are offered a place"],
  schedulerName: ["string", "schedulerName is refused in a template: tasks are placed by Proffer"],
  priorityClassName: ["string", "priorityClassName is refused in a template: use the Task's priority"],
  priority: ["integer", "priority is refused in a template: use the Task's priority"],
  preemptionPolicy: "string",
  hostNetwork: ["switch", "the host's network cannot be used in tasks"],
  hostPID: ["switch", "the host's process namespace cannot be used in tasks"],
  hostIPC: ["switch", "the host's IPC namespace cannot be used in tasks"],
  hostUsers: "boolean",
  serviceAccountName: [
    "string",
    "serviceAccountName is refused in a template: tasks get no ServiceAccount of their choice",
  ],
  serviceAccount: ["string", "serviceAccount is refused in a template: tasks get no ServiceAccount of their choice"],
  automountServiceAccountToken: ["switch", "ServiceAccount tokens are not mounted into tasks"],
  runtimeClassName: ["string", "runtimeClassName cannot be chosen by a task"],
  ephemeralContainers: ["objects", "ephemeralContainers cannot be part of a task"],
  resourceClaims: ["objects", "resource claims cannot be used in tasks"],
  overhead: "object",
  resources: ["object", "resources of the whole pod are not supported: give each container its own"],
  schedulingGates: "objects",
  readinessGates: "objects",
  hostAliases: "objects",
  hostname: "string",
  hostnameOverride: "string",
  subdomain: "string",
  setHostnameAsFQDN: "switch",
  dnsPolicy: "string",
  dnsConfig: "object",
  shareProcessNamespace: "switch",
  enableServiceLinks: "boolean",
  os: "object",
  schedulingGroup: "object",
  workloadRef: "object",
};

const podSpec = allowList(
  {
    containers: listMap(container(), ["name"], 8, 1).describe("The containers that run."),
    initContainers: listMap(initContainer(), ["name"], 8)
      .optional()
      .describe("Containers that run before them, one after the other, and sidecars."),
    volumes: listMap(volume(), ["name"], 32).optional().describe("Volumes that containers may mount."),
    restartPolicy: z
      .enum(["Never", "OnFailure"])
      .default("Never")
      .describe("Whether a container that fails is started again in the same pod, before `retry` counts."),
    terminationGracePeriodSeconds: int(0, 86_400).optional().describe("Time to end when told to. Absent: 30."),
    activeDeadlineSeconds: int(1, 31_536_000).optional().describe("Time after which a pod is failed."),
    imagePullSecrets: listMap(z.object({ name: subdomain().describe("The Secret.") }), ["name"], 16)
      .optional()
      .describe("Secrets, in the Task's namespace, to pull images with."),
    securityContext: podSecurityContext.optional().describe("Users, groups and confinement of all containers."),
  },
  refused,
  "a task's template",
);

const templateMetadata = allowList(
  {
    labels: constrained(labelMap(), noOwnKeys).optional().describe("Labels of the pods."),
    annotations: constrained(map(text(16_384), 64), noOwnKeys)
      .optional()
      .describe("Annotations of the pods."),
  },
  {
    name: ["string", "pods are named by the operator"],
    generateName: ["string", "pods are named by the operator"],
    namespace: ["string", "pods are made in the Task's namespace"],
    finalizers: ["strings", "finalizers of pods are set by the operator"],
    ownerReferences: ["objects", "owners of pods are set by the operator"],
  },
  "a template's metadata",
);

/** The pod that each instance of a Task runs: an allow-list, so that what is not known here never gets into a pod. */
export const podTemplate = () =>
  shared(
    "PodTemplate",
    "The pod that each instance runs: an allow-list of Kubernetes' own fields. What Pod Security's level `restricted` refuses is refused. Every container is given the confinement that this level asks for.",
    z.object({
      metadata: templateMetadata.optional().describe("Labels and annotations of the pods."),
      spec: podSpec.describe("What the pods run."),
    }),
  );

export type PodTemplate = z.infer<ReturnType<typeof podTemplate>>;
export type PodTemplateInput = z.input<ReturnType<typeof podTemplate>>;
export type PodTemplateSpec = PodTemplate["spec"];
export type TemplateContainer = z.infer<ReturnType<typeof initContainer>>;
export type TemplateVolume = z.infer<ReturnType<typeof volume>>;

const parser = podTemplate();

/**
 * Reads a template by the allow-list: the one way from a Task to a pod. Fields that are not known are left out, refused
 * ones are problems.
 */
export function parsePodTemplate(
  template: unknown,
): { ok: true; template: PodTemplate } | { ok: false; problems: string[] } {
  const parsed = parser.safeParse(template);
  if (parsed.success) return { ok: true, template: parsed.data };
  return { ok: false, problems: describeIssues(parsed.error, "template") };
}
