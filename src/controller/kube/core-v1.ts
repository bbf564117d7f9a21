/**
 * What is read of core objects when they come as protobuf: the field numbers of k8s.io/api/core/v1 and
 * k8s.io/apimachinery (generated.proto), which never change. A projection that looks at another field needs it here.
 */
import { common, decodeMessage, list, type Message, map, message, one, ProtobufError } from "./protobuf.ts";
import { encodeMessage } from "./protobuf-writer.ts";

const ownerReference = message({
  1: one("kind"),
  3: one("name"),
  4: one("uid"),
  5: one("apiVersion"),
  6: one("controller", "bool"),
});

const objectMeta = message({
  1: one("name"),
  3: common(one("namespace")),
  5: one("uid"),
  6: one("resourceVersion"),
  8: common(one("creationTimestamp", "time")),
  9: one("deletionTimestamp", "time"),
  10: one("deletionGracePeriodSeconds", "int"),
  11: common(map("labels")),
  12: map("annotations"),
  13: common(list("ownerReferences", ownerReference)),
  14: common(list("finalizers")),
});

const resources = message({ 1: map("limits", "quantity"), 2: map("requests", "quantity") });

const container = message({
  1: common(one("name")),
  8: common(one("resources", resources)),
  24: common(one("restartPolicy")),
});

const nodeSelectorRequirement = message({ 1: one("key"), 2: one("operator"), 3: list("values") });
const nodeSelectorTerm = message({
  1: list("matchExpressions", nodeSelectorRequirement),
  2: list("matchFields", nodeSelectorRequirement),
});
const nodeSelector = message({ 1: list("nodeSelectorTerms", nodeSelectorTerm) });
const nodeAffinity = message({ 1: one("requiredDuringSchedulingIgnoredDuringExecution", nodeSelector) });

const podSpec = message({
  2: list("containers", container),
  10: common(one("nodeName")),
  18: one("affinity", message({ 1: one("nodeAffinity", nodeAffinity) })),
  20: list("initContainers", container),
  32: common(map("overhead", "quantity")),
  40: one("resources", resources),
});

const containerState = message({
  1: one("waiting", message({ 1: one("reason"), 2: one("message") })),
  2: one("running", message({ 1: one("startedAt", "time") })),
  3: one(
    "terminated",
    message({
      1: one("exitCode", "int"),
      2: one("signal", "int"),
      3: one("reason"),
      4: one("message"),
      5: one("startedAt", "time"),
      6: one("finishedAt", "time"),
    }),
  ),
});

const containerStatus = message({
  1: common(one("name")),
  2: one("state", containerState),
  3: one("lastState", containerState),
  10: common(map("allocatedResources", "quantity")),
  11: common(one("resources", resources)),
});

const condition = message({
  1: common(one("type")),
  2: common(one("status")),
  5: common(one("reason")),
  6: one("message"),
});

const podStatus = message({
  1: common(one("phase")),
  2: list("conditions", condition),
  3: one("message"),
  4: one("reason"),
  8: list("containerStatuses", containerStatus),
  10: list("initContainerStatuses", containerStatus),
  19: map("allocatedResources", "quantity"),
  20: one("resources", resources),
});

export const podMessage = message({
  1: one("metadata", objectMeta),
  2: one("spec", podSpec),
  3: one("status", podStatus),
});

const taint = message({ 1: one("key"), 2: one("value"), 3: one("effect") });

export const nodeMessage = message({
  1: one("metadata", objectMeta),
  2: one("spec", message({ 4: one("unschedulable", "bool"), 5: common(list("taints", taint)) })),
  3: one("status", message({ 2: common(map("allocatable", "quantity")), 4: list("conditions", condition) })),
});

/** What an error is, and what a watch may send instead of an object. */
const statusMessage = message({
  2: one("status"),
  3: one("message"),
  4: one("reason"),
  5: one(
    "details",
    message({
      4: list("causes", message({ 1: one("reason"), 2: one("message"), 3: one("field") })),
      5: one("retryAfterSeconds", "int"),
    }),
  ),
  6: one("code", "int"),
});

const unknown = message({
  1: common(one("typeMeta", message({ 1: one("apiVersion"), 2: one("kind") }))),
  2: one("raw", "bytes"),
});
const watchEvent = message({ 1: common(one("type")), 2: one("object", message({ 1: one("raw", "bytes") })) });
/** Before every object. */
export const magic = Buffer.from("k8s\0", "latin1");

/**
 * An object in its envelope; a Status whatever was expected, if that is what came.
 *
 * @throws ProtobufError
 */
export function decodeObject(type: Message, bytes: Buffer): Record<string, unknown> {
  if (!bytes.subarray(0, magic.length).equals(magic)) throw new ProtobufError("no object of Kubernetes");
  const { typeMeta, raw = Buffer.alloc(0) } = decodeMessage(unknown, bytes, magic.length) as {
    typeMeta?: { kind?: string };
    raw?: Buffer;
  };
  const isStatus = typeMeta?.kind === "Status";
  return { ...typeMeta, ...decodeMessage(isStatus ? statusMessage : type, raw) };
}

/**
 * An object of the API as it is sent, in its envelope.
 *
 * @throws ProtobufError
 */
export function encodeObject(type: Message, object: Readonly<Record<string, unknown>>): Buffer {
  const { apiVersion, kind, ...rest } = object;
  const raw = encodeMessage(type, rest);
  return Buffer.concat([magic, encodeMessage(unknown, { typeMeta: { apiVersion, kind }, raw })]);
}

/**
 * One event of a watch, as in JSON: `{type, object}`.
 *
 * @throws ProtobufError
 */
export function decodeWatchEvent(type: Message, frame: Buffer): Record<string, unknown> {
  const event = decodeMessage(watchEvent, frame) as { type?: string; object?: { raw?: Buffer } };
  return { type: event.type, object: decodeObject(type, event.object?.raw ?? Buffer.alloc(0)) };
}
