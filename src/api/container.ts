import { z } from "zod";
import {
  constrained,
  int,
  label,
  list,
  listMap,
  map,
  quantities,
  quantity,
  shared,
  subdomain,
  text,
} from "./common.ts";
import { RESERVED_ENV_PREFIX } from "./labels.ts";
import { allowList } from "./refused.ts";
import { containerSecurityContext } from "./security-context.ts";

/** How many of these members are given. */
const given = (...values: unknown[]) => values.filter((value) => value !== undefined).length;

/** A field of the pod, as an environment variable or a file. */
export const fieldRef = z.object({
  apiVersion: text(32).optional().describe("The version of the field path. Absent: v1."),
  fieldPath: text(512, 1).describe("The field: `metadata.name`, `metadata.labels['‹key›']`, `spec.nodeName`, ..."),
});

/** A resource of a container, as an environment variable or a file. */
export const resourceFieldRef = z.object({
  containerName: text(63).optional().describe("The container. Needed in volumes."),
  resource: text(64, 1).describe("The resource: `limits.cpu`, `requests.memory`, ..."),
  divisor: quantity().optional().describe("The unit of the output."),
});

const configMapKeyRef = z.object({
  name: subdomain().describe("The ConfigMap, in the Task's namespace."),
  key: text(253, 1).describe("The key."),
  optional: z.boolean().optional().describe("Whether it may be missing."),
});

const valueFrom = constrained(
  allowList(
    {
      fieldRef: fieldRef.optional().describe("A field of the pod."),
      resourceFieldRef: resourceFieldRef.optional().describe("A resource of a container."),
      configMapKeyRef: configMapKeyRef.optional().describe("A key of a ConfigMap."),
    },
    {
      secretKeyRef: ["object", "secrets cannot be used in tasks"],
      fileKeyRef: "object",
    },
    "valueFrom",
  ),
  {
    cel: "[has(self.fieldRef), has(self.resourceFieldRef), has(self.configMapKeyRef)].filter(given, given).size() == 1",
    message: "valueFrom takes exactly one of fieldRef, resourceFieldRef and configMapKeyRef",
    holds: (value) => given(value.fieldRef, value.resourceFieldRef, value.configMapKeyRef) === 1,
  },
);

const environmentVariable = constrained(
  z.object({
    name: text(256, 1).describe("The variable's name."),
    value: text(32_768).optional().describe("Its value."),
    valueFrom: valueFrom.optional().describe("Where its value comes from."),
  }),
  {
    cel: "!has(self.value) || !has(self.valueFrom)",
    message: "a variable has a value or a valueFrom, not both",
    holds: (variable) => variable.value === undefined || variable.valueFrom === undefined,
  },
  {
    cel: `!self.name.startsWith('${RESERVED_ENV_PREFIX}')`,
    message: `names that begin with ${RESERVED_ENV_PREFIX} are set by the operator`,
    at: ".name",
    holds: ({ name }) => !name.startsWith(RESERVED_ENV_PREFIX),
  },
);

const environmentSource = allowList(
  {
    prefix: text(128).optional().describe("Put before every name."),
    configMapRef: z
      .object({
        name: subdomain().describe("The ConfigMap, in the Task's namespace."),
        optional: z.boolean().optional().describe("Whether it may be missing."),
      })
      .describe("The ConfigMap whose keys become variables."),
  },
  { secretRef: ["object", "secrets cannot be used in tasks"] },
  "envFrom",
);

const resources = allowList(
  {
    requests: quantities().optional().describe("What is set aside. Absent: the limits."),
    limits: quantities().optional().describe("What may be used at most."),
  },
  { claims: ["objects", "resource claims cannot be used in tasks"] },
  "a container's resources",
);

const port = allowList(
  {
    containerPort: int(1, 65_535).describe("The port."),
    name: text(15).optional().describe("A name for it."),
    protocol: z.enum(["TCP", "UDP", "SCTP"]).default("TCP").describe("The protocol."),
  },
  {
    hostPort: ["integer", "ports of the host cannot be used in tasks"],
    hostIP: ["string", "addresses of the host cannot be used in tasks"],
  },
  "a container's ports",
);

const volumeMount = allowList(
  {
    name: label().describe("The volume."),
    mountPath: text(1024, 1).describe("Where it appears in the container."),
    subPath: text(1024).optional().describe("The part of the volume to mount."),
    readOnly: z.boolean().optional().describe("Whether it is read-only."),
  },
  { mountPropagation: "string", recursiveReadOnly: "string", subPathExpr: "string" },
  "a container's volumeMounts",
);

const fields = {
  name: label().describe("The container's name."),
  image: text(1024, 1).describe("The image."),
  command: list(text(65_536), 256).optional().describe("The program, instead of the image's entry point."),
  args: list(text(65_536), 1024).optional().describe("Its arguments."),
  workingDir: text(1024).optional().describe("Its working directory."),
  env: listMap(environmentVariable, ["name"], 128).optional().describe("Environment variables."),
  envFrom: list(environmentSource, 32).optional().describe("ConfigMaps whose keys become environment variables."),
  resources: resources.optional().describe("What it needs of the node."),
  ports: listMap(port, ["containerPort", "protocol"], 64).optional().describe("Ports that it listens on."),
  volumeMounts: listMap(volumeMount, ["mountPath"], 64).optional().describe("Volumes that it sees."),
  imagePullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).optional().describe("When the image is pulled."),
  terminationMessagePath: text(1024).optional().describe("The file whose content becomes the message of a failure."),
  terminationMessagePolicy: z
    .enum(["File", "FallbackToLogsOnError"])
    .optional()
    .describe("Whether the end of the log may stand in for that file."),
  securityContext: containerSecurityContext.optional().describe("Users, groups and confinement."),
};

const refused = {
  lifecycle: ["object", "lifecycle hooks cannot be used in tasks"],
  livenessProbe: "object",
  readinessProbe: "object",
  startupProbe: "object",
  stdin: "switch",
  stdinOnce: "switch",
  tty: "switch",
  volumeDevices: ["objects", "block devices cannot be used in tasks"],
  resizePolicy: "objects",
  restartPolicyRules: "objects",
} satisfies Parameters<typeof allowList>[1];

/** A container of a task. */
export const container = () =>
  shared(
    "Container",
    "A container of a task: an allow-list of Kubernetes' own fields, with their meaning there.",
    allowList(
      fields,
      {
        ...refused,
        restartPolicy: ["string", "restartPolicy of a container is for sidecars among the initContainers"],
      },
      "a task's container",
    ),
  );

/** An init container, or a sidecar. */
export const initContainer = () =>
  shared(
    "InitContainer",
    "A container that runs before the others, or a sidecar.",
    allowList(
      {
        ...fields,
        restartPolicy: z
          .enum(["Always"])
          .optional()
          .describe("`Always` makes it a sidecar: it runs beside the containers and ends after them."),
      },
      refused,
      "a task's init container",
    ),
    "Container",
  );

/** The labels of pods. */
export const labelMap = () =>
  map(
    z
      .string()
      .max(63)
      .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, "must be a label value"),
    64,
  );
