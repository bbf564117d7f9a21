import { z } from "zod";
import { constrained, int, listSet, text } from "./common.ts";
import { allowList } from "./refused.ts";

const MAX_ID = 2_147_483_647;

const userId = () =>
  constrained(int(0, MAX_ID), {
    cel: "self != 0",
    message: "runAsUser must not be 0: tasks do not run as root",
    holds: (id) => id !== 0,
  });

const nonRoot = () =>
  constrained(z.boolean(), {
    cel: "self",
    message: "runAsNonRoot must not be false: tasks do not run as root",
    holds: (value) => value,
  });

const seccompProfile = constrained(
  z.object({
    type: z
      .string()
      .max(32)
      .describe("`RuntimeDefault`, or `Localhost` with a profile that the node has. Absent: `RuntimeDefault`."),
    localhostProfile: text(253).optional().describe("The profile's path on the node, with `Localhost`."),
  }),
  {
    cel: "self.type in ['RuntimeDefault', 'Localhost']",
    message: "seccompProfile.type must be RuntimeDefault or Localhost: tasks run confined",
    at: ".type",
    holds: ({ type }) => type === "RuntimeDefault" || type === "Localhost",
  },
  {
    cel: "(self.type == 'Localhost') == has(self.localhostProfile)",
    message: "localhostProfile belongs to the type Localhost",
    holds: ({ type, localhostProfile }) => (type === "Localhost") === (localhostProfile !== undefined),
  },
);

const capabilities = allowList(
  { drop: listSet(text(64, 1), 64).optional().describe("Capabilities to drop. All are dropped in any case.") },
  { add: ["strings", "capabilities cannot be added to tasks"] },
  "capabilities",
);

const identity = {
  runAsNonRoot: nonRoot().optional().describe("True if given; tasks never run as root."),
  runAsUser: userId().optional().describe("The user id. Absent: the image's, which must not be 0."),
  runAsGroup: int(0, MAX_ID).optional().describe("The group id."),
  seccompProfile: seccompProfile.optional().describe("The seccomp profile."),
};

const refusedShared = {
  seLinuxOptions: ["object", "SELinux options cannot be set by a task"],
  appArmorProfile: ["object", "AppArmor profiles cannot be set by a task"],
  windowsOptions: ["object", "windowsOptions (and hostProcess in them) cannot be set by a task"],
} satisfies Parameters<typeof allowList>[1];

/** The pod's security context: what Pod Security's level `restricted` allows. */
export const podSecurityContext = allowList(
  {
    ...identity,
    fsGroup: int(0, MAX_ID).optional().describe("The group that owns the volumes."),
    fsGroupChangePolicy: z
      .enum(["OnRootMismatch", "Always"])
      .optional()
      .describe("When the ownership of volumes is changed."),
    supplementalGroups: listSet(int(0, MAX_ID), 32).optional().describe("Further group ids."),
    supplementalGroupsPolicy: z.enum(["Merge", "Strict"]).optional().describe("Whether the image's groups count too."),
  },
  {
    ...refusedShared,
    sysctls: ["objects", "sysctls cannot be set by a task"],
    seLinuxChangePolicy: "string",
  },
  "a task's security context",
);

/** A container's security context: what Pod Security's level `restricted` allows. */
export const containerSecurityContext = allowList(
  {
    ...identity,
    readOnlyRootFilesystem: z.boolean().optional().describe("Whether the root file system is read-only."),
    capabilities: capabilities.optional().describe("Linux capabilities."),
  },
  {
    ...refusedShared,
    privileged: ["switch", "privileged containers are not allowed in tasks"],
    allowPrivilegeEscalation: ["switch", "privilege escalation is not allowed in tasks"],
    procMount: ["string", "procMount cannot be set by a task"],
  },
  "a container's security context",
);
