import { API_VERSION } from "../../api/common.ts";
import {
  ATTEMPT_LABEL,
  FRAMEWORK_LABEL,
  INDEX_ENV,
  INDEX_LABEL,
  INSTANCES_ENV,
  OFFER_LABEL,
  QUEUE_LABEL,
  TASK_LABEL,
  TASK_UID_LABEL,
  TRACKING_FINALIZER,
} from "../../api/labels.ts";
import type { PodTemplate, TemplateContainer } from "../../api/pod-template.ts";
import type { Toleration } from "../../offers/nodes/constraints.ts";
import { keepEncodings } from "../kube/protobuf-writer.ts";
import { podName, podNamePrefix } from "./names.ts";

/** Whose pods are to be made, and what of them its template leaves open. */
export interface PodSource {
  readonly namespace: string;
  readonly task: string;
  readonly taskUid: string;
  readonly framework: string;
  readonly instances: number;
  readonly template: PodTemplate;
  readonly tolerations: readonly Toleration[];
  /** How long a pod stays bound to a node out of reach before it is evicted. */
  readonly unreachableSeconds: number;
}

/** What differs between the pods of one Task. */
export interface PodPlace {
  readonly index: number;
  readonly attempt: number;
  /** Absent for the dry run that learns what a pod will request. */
  readonly node?: string;
  readonly queue: string;
  readonly offer?: string;
}

/** All that the pods of one Task have in common, made once: a pod then costs a few small objects. */
export interface PodBlueprint {
  readonly namespace: string;
  readonly taskUid: string;
  readonly namePrefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences: readonly object[];
  readonly spec: Readonly<Record<string, unknown>>;
  readonly containers: readonly ContainerBlueprint[];
  readonly initContainers: readonly ContainerBlueprint[] | undefined;
  readonly env: readonly EnvironmentVariable[];
}

interface ContainerBlueprint {
  readonly container: Readonly<Record<string, unknown>>;
  readonly env: readonly unknown[];
}

interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
}

type Body = Record<string, unknown>;

const finalizers = [TRACKING_FINALIZER];

/**
 * Pods are put together field by field from the template, never copied: a field that is not named here cannot get into
 * a pod, even if the template's parser let it through. What Pod Security's level `restricted` wants is filled in.
 */
export function podBlueprint(source: PodSource): PodBlueprint {
  const { metadata } = source.template;
  const { spec, containers, initContainers } = partsOf(source.template);
  return {
    namespace: source.namespace,
    taskUid: source.taskUid,
    namePrefix: podNamePrefix(source.task, source.taskUid),
    labels: {
      ...metadata?.labels,
      [TASK_LABEL]: source.task,
      [TASK_UID_LABEL]: source.taskUid,
      [FRAMEWORK_LABEL]: source.framework,
    },
    annotations: metadata?.annotations,
    ownerReferences: keepEncodings([
      {
        apiVersion: API_VERSION,
        kind: "Task",
        name: source.task,
        uid: source.taskUid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ]),
    spec: {
      ...spec,
      tolerations: keepEncodings([...source.tolerations, ...evictionTolerations(source.unreachableSeconds)]),
    },
    containers,
    initContainers,
    env: keepEncodings([{ name: INSTANCES_ENV, value: String(source.instances) }]),
  };
}

/** The body of one pod, ready to be sent. Equal arguments give equal bodies. */
export function podBody(blueprint: PodBlueprint, place: PodPlace): Body {
  const [index, attempt] = [String(place.index), String(place.attempt)];
  // Before the template's own variables, so that those can refer to them as $(PROFFER_TASK_INDEX).
  const env = [{ name: INDEX_ENV, value: index }, ...blueprint.env];
  const withEnv = ({ container, env: own }: ContainerBlueprint): Body => ({ ...container, env: [...env, ...own] });
  const labels: Record<string, string> = {
    ...blueprint.labels,
    [INDEX_LABEL]: index,
    [ATTEMPT_LABEL]: attempt,
    [QUEUE_LABEL]: place.queue,
  };
  if (place.offer !== undefined) labels[OFFER_LABEL] = place.offer;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podName(blueprint.namePrefix, place.index, place.attempt),
      namespace: blueprint.namespace,
      labels,
      annotations: blueprint.annotations,
      finalizers,
      ownerReferences: blueprint.ownerReferences,
    },
    spec: {
      nodeName: place.node,
      ...blueprint.spec,
      containers: blueprint.containers.map(withEnv),
      initContainers: blueprint.initContainers?.map(withEnv),
    },
  };
}

/** What a pod of this template runs, for pods that are no Task's: each container gets `env` before its own variables. */
export function plainPodSpec(template: PodTemplate, env: readonly EnvironmentVariable[]): Body {
  const { spec, containers, initContainers } = partsOf(template);
  const withEnv = ({ container, env: own }: ContainerBlueprint): Body => ({ ...container, env: [...env, ...own] });
  return {
    ...spec,
    containers: containers.map(withEnv),
    ...(initContainers && { initContainers: initContainers.map(withEnv) }),
  };
}

type TemplateParts = Pick<PodBlueprint, "spec" | "containers" | "initContainers">;

/** Thousands of Tasks may share one template. */
const partsByTemplate = new WeakMap<PodTemplate, TemplateParts>();

function partsOf(template: PodTemplate): TemplateParts {
  let parts = partsByTemplate.get(template);
  if (parts === undefined) {
    const { containers, initContainers } = template.spec;
    parts = keepEncodings({
      spec: specOf(template),
      containers: containers.map(containerOf),
      initContainers: initContainers?.map(containerOf),
    });
    partsByTemplate.set(template, parts);
  }
  return parts;
}

function specOf({ spec }: PodTemplate): Body {
  const security = spec.securityContext;
  return withoutUndefined({
    restartPolicy: spec.restartPolicy,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    activeDeadlineSeconds: spec.activeDeadlineSeconds,
    imagePullSecrets: spec.imagePullSecrets?.map(({ name }) => ({ name })),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: security?.runAsUser,
      runAsGroup: security?.runAsGroup,
      seccompProfile: security?.seccompProfile ?? { type: "RuntimeDefault" },
      fsGroup: security?.fsGroup,
      fsGroupChangePolicy: security?.fsGroupChangePolicy,
      supplementalGroups: security?.supplementalGroups,
      supplementalGroupsPolicy: security?.supplementalGroupsPolicy,
    },
    volumes: spec.volumes?.map(({ name, emptyDir, configMap, downwardAPI }) => ({
      name,
      emptyDir,
      configMap,
      downwardAPI,
    })),
  });
}

/** Without these, the API server adds its own of 300 s. */
function evictionTolerations(tolerationSeconds: number): object[] {
  return ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map((key) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds,
  }));
}

function containerOf(c: TemplateContainer): ContainerBlueprint {
  const security = c.securityContext;
  const container = {
    name: c.name,
    image: c.image,
    command: c.command,
    args: c.args,
    workingDir: c.workingDir,
    envFrom: c.envFrom?.map(({ prefix, configMapRef }) => ({ prefix, configMapRef })),
    resources: c.resources && { requests: c.resources.requests, limits: c.resources.limits },
    ports: c.ports?.map(({ containerPort, name, protocol }) => ({ containerPort, name, protocol })),
    volumeMounts: c.volumeMounts?.map(({ name, mountPath, subPath, readOnly }) => ({
      name,
      mountPath,
      subPath,
      readOnly,
    })),
    imagePullPolicy: c.imagePullPolicy,
    terminationMessagePath: c.terminationMessagePath,
    terminationMessagePolicy: c.terminationMessagePolicy,
    restartPolicy: c.restartPolicy,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      runAsNonRoot: security?.runAsNonRoot,
      runAsUser: security?.runAsUser,
      runAsGroup: security?.runAsGroup,
      readOnlyRootFilesystem: security?.readOnlyRootFilesystem,
      seccompProfile: security?.seccompProfile,
    },
  };
  const env = (c.env ?? []).map(({ name, value, valueFrom }) => ({
    name,
    value,
    valueFrom: valueFrom && {
      fieldRef: valueFrom.fieldRef,
      resourceFieldRef: valueFrom.resourceFieldRef,
      configMapKeyRef: valueFrom.configMapKeyRef,
    },
  }));
  return { container: withoutUndefined(container), env: env.map(withoutUndefined) };
}

/** Deeply; what is left is the JSON that is sent, so that copying it later copies little. */
function withoutUndefined<T extends object>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
