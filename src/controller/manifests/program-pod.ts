import { createHash } from "node:crypto";
import { API_VERSION } from "../../api/common.ts";
import type { FrameworkSpec } from "../../api/framework.ts";
import {
  CONTROLLER_LABEL,
  FRAMEWORK_ENV,
  FRAMEWORK_LABEL,
  NAMESPACE_ENV,
  PROGRAM_ANNOTATION,
} from "../../api/labels.ts";
import { podNamePrefix } from "./names.ts";
import { plainPodSpec } from "./pod.ts";

export type ProgramSpec = NonNullable<FrameworkSpec["scheduler"]["controller"]>;

/** Whose program it is. */
export interface ProgramOwner {
  readonly namespace: string;
  readonly framework: string;
  readonly frameworkUid: string;
}

/** Fixed, so that it is a lock: a framework has one such pod at a time. At most 52 characters. */
export function programPodName({ framework, frameworkUid }: ProgramOwner): string {
  return `${podNamePrefix(framework, frameworkUid)}-controller`;
}

/** Of all that a pod of the program is made from. */
export function programHash(spec: ProgramSpec): string {
  return createHash("sha256").update(JSON.stringify(spec)).digest("hex").slice(0, 16);
}

/**
 * The pod of a framework's program: as confined as those of Tasks, but with a token, the one that its account's owner has
 * meant for it; and left to the cluster's scheduler, so that it needs no offer to make offers useful.
 */
export function programPod(
  owner: ProgramOwner,
  spec: ProgramSpec,
  count: { readonly restarts: number; readonly failures: number },
): object {
  const { metadata } = spec.template;
  const env = [
    { name: FRAMEWORK_ENV, value: owner.framework },
    { name: NAMESPACE_ENV, value: owner.namespace },
  ];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: programPodName(owner),
      namespace: owner.namespace,
      labels: { ...metadata?.labels, [FRAMEWORK_LABEL]: owner.framework, [CONTROLLER_LABEL]: owner.frameworkUid },
      annotations: {
        ...metadata?.annotations,
        [PROGRAM_ANNOTATION]: `${programHash(spec)} ${count.restarts} ${count.failures}`,
      },
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: "Framework",
          name: owner.framework,
          uid: owner.frameworkUid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      ...plainPodSpec(spec.template, env),
      serviceAccountName: spec.serviceAccountName,
      automountServiceAccountToken: true,
    },
  };
}
