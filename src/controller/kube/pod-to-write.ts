/**
 * Every field that a pod of ours may have, by the field numbers of k8s.io/api/core/v1 and k8s.io/apimachinery
 * (generated.proto), which never change. A field that `manifests/pod.ts` fills in must be here, else writing it fails.
 */
import { inline, list, type Message, map, message, one } from "./protobuf.ts";

const int = "int";
const bool = "bool";

const ownerReference = message({
  1: one("kind"),
  3: one("name"),
  4: one("uid"),
  5: one("apiVersion"),
  6: one("controller", bool),
  7: one("blockOwnerDeletion", bool),
});

const objectMeta = message({
  1: one("name"),
  3: one("namespace"),
  11: map("labels"),
  12: map("annotations"),
  13: list("ownerReferences", ownerReference),
  14: list("finalizers"),
});

/** An object of the same namespace. */
const localObject = message({ 1: one("name") });
const fieldRef = message({ 1: one("apiVersion"), 2: one("fieldPath") });
const resourceFieldRef = message({ 1: one("containerName"), 2: one("resource"), 3: one("divisor", "quantity") });
const configMapKeyRef = message({ 1: inline(localObject), 2: one("key"), 3: one("optional", bool) });
const configMapRef = message({ 1: inline(localObject), 2: one("optional", bool) });

const valueFrom = message({
  1: one("fieldRef", fieldRef),
  2: one("resourceFieldRef", resourceFieldRef),
  3: one("configMapKeyRef", configMapKeyRef),
});

const seccompProfile = message({ 1: one("type"), 2: one("localhostProfile") });

const containerSecurity = message({
  1: one("capabilities", message({ 1: list("add"), 2: list("drop") })),
  4: one("runAsUser", int),
  5: one("runAsNonRoot", bool),
  6: one("readOnlyRootFilesystem", bool),
  7: one("allowPrivilegeEscalation", bool),
  8: one("runAsGroup", int),
  11: one("seccompProfile", seccompProfile),
});

const container = message({
  1: one("name"),
  2: one("image"),
  3: list("command"),
  4: list("args"),
  5: one("workingDir"),
  6: list("ports", message({ 1: one("name"), 3: one("containerPort", int), 4: one("protocol") })),
  7: list("env", message({ 1: one("name"), 2: one("value"), 3: one("valueFrom", valueFrom) })),
  8: one("resources", message({ 1: map("limits", "quantity"), 2: map("requests", "quantity") })),
  9: list(
    "volumeMounts",
    message({ 1: one("name"), 2: one("readOnly", bool), 3: one("mountPath"), 4: one("subPath") }),
  ),
  13: one("terminationMessagePath"),
  14: one("imagePullPolicy"),
  15: one("securityContext", containerSecurity),
  19: list("envFrom", message({ 1: one("prefix"), 2: one("configMapRef", configMapRef) })),
  20: one("terminationMessagePolicy"),
  24: one("restartPolicy"),
});

const configMapVolume = message({
  1: inline(localObject),
  2: list("items", message({ 1: one("key"), 2: one("path"), 3: one("mode", int) })),
  3: one("defaultMode", int),
  4: one("optional", bool),
});

const downwardVolume = message({
  1: list(
    "items",
    message({
      1: one("path"),
      2: one("fieldRef", fieldRef),
      3: one("resourceFieldRef", resourceFieldRef),
      4: one("mode", int),
    }),
  ),
  2: one("defaultMode", int),
});

const volumeSource = message({
  2: one("emptyDir", message({ 1: one("medium"), 2: one("sizeLimit", "quantity") })),
  16: one("downwardAPI", downwardVolume),
  19: one("configMap", configMapVolume),
});

const podSecurity = message({
  2: one("runAsUser", int),
  3: one("runAsNonRoot", bool),
  4: list("supplementalGroups", int),
  5: one("fsGroup", int),
  6: one("runAsGroup", int),
  9: one("fsGroupChangePolicy"),
  10: one("seccompProfile", seccompProfile),
  12: one("supplementalGroupsPolicy"),
});

const toleration = message({
  1: one("key"),
  2: one("operator"),
  3: one("value"),
  4: one("effect"),
  5: one("tolerationSeconds", int),
});

const podSpec = message({
  1: list("volumes", message({ 1: one("name"), 2: inline(volumeSource) })),
  2: list("containers", container),
  3: one("restartPolicy"),
  4: one("terminationGracePeriodSeconds", int),
  5: one("activeDeadlineSeconds", int),
  10: one("nodeName"),
  14: one("securityContext", podSecurity),
  15: list("imagePullSecrets", localObject),
  20: list("initContainers", container),
  21: one("automountServiceAccountToken", bool),
  22: list("tolerations", toleration),
  30: one("enableServiceLinks", bool),
});

export const podToWrite: Message = message({ 1: one("metadata", objectMeta), 2: one("spec", podSpec) });
