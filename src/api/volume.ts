import { z } from "zod";
import { constrained, int, label, list, quantity, shared, subdomain, text } from "./common.ts";
import { fieldRef, resourceFieldRef } from "./container.ts";
import { allowList, type RefusedFields } from "./refused.ts";

const mode = () => int(0, 511).optional();

const emptyDir = z.object({
  medium: z.enum(["", "Memory"]).optional().describe("`Memory` for a file system in memory."),
  sizeLimit: quantity().optional().describe("How large it may grow."),
});

const configMap = z.object({
  name: subdomain().describe("The ConfigMap, in the Task's namespace."),
  optional: z.boolean().optional().describe("Whether it may be missing."),
  defaultMode: mode().describe("Permission bits of the files."),
  items: list(
    z.object({
      key: text(253, 1).describe("The key."),
      path: text(1024, 1).describe("The file that it becomes."),
      mode: mode().describe("Permission bits of the file."),
    }),
    64,
  )
    .optional()
    .describe("Which keys become which files. Absent: all, by their names."),
});

const downwardAPI = z.object({
  defaultMode: mode().describe("Permission bits of the files."),
  items: list(
    z.object({
      path: text(1024, 1).describe("The file."),
      fieldRef: fieldRef.optional().describe("A field of the pod."),
      resourceFieldRef: resourceFieldRef.optional().describe("A resource of a container."),
      mode: mode().describe("Permission bits of the file."),
    }),
    64,
  )
    .optional()
    .describe("What becomes which file."),
});

const ALLOWED = "use emptyDir, configMap or downwardAPI";
const refuse = (type: string): RefusedFields[string] => [
  "object",
  `${type} volumes cannot be used in tasks: ${ALLOWED}`,
];

/** Every other volume source of the core API. */
const OTHER_SOURCES = [
  "awsElasticBlockStore",
  "azureDisk",
  "azureFile",
  "cephfs",
  "cinder",
  "csi",
  "ephemeral",
  "fc",
  "flexVolume",
  "flocker",
  "gcePersistentDisk",
  "gitRepo",
  "glusterfs",
  "hostPath",
  "image",
  "iscsi",
  "nfs",
  "persistentVolumeClaim",
  "photonPersistentDisk",
  "portworxVolume",
  "projected",
  "quobyte",
  "rbd",
  "scaleIO",
  "secret",
  "storageos",
  "vsphereVolume",
];

/** A volume of a task. */
export const volume = () =>
  shared(
    "Volume",
    "A volume of a task: an empty directory, a ConfigMap or fields of the pod.",
    constrained(
      allowList(
        {
          name: label().describe("The volume's name."),
          emptyDir: emptyDir.optional().describe("An empty directory that lives as long as the pod."),
          configMap: configMap.optional().describe("A ConfigMap as files."),
          downwardAPI: downwardAPI.optional().describe("Fields of the pod as files."),
        },
        Object.fromEntries(OTHER_SOURCES.map((type) => [type, refuse(type)])),
        "a task's volume",
      ),
      {
        cel: "[has(self.emptyDir), has(self.configMap), has(self.downwardAPI)].filter(given, given).size() == 1",
        message: `a volume has exactly one source: ${ALLOWED}`,
        holds: ({ emptyDir, configMap, downwardAPI }) =>
          [emptyDir, configMap, downwardAPI].filter((source) => source !== undefined).length === 1,
      },
    ),
  );
