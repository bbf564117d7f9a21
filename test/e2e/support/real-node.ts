import { describe } from "vitest";
import { whyNoRealNode } from "../../../tools/cluster/real-node/requirements.ts";

const where = process.env.CLUSTER || "embedded";

/** Why tests cannot have a node of their own, whose power is cut; undefined where they can. */
const noRealNode =
  where === "embedded"
    ? whyNoRealNode()
    : "they need a node whose power and kubelet are in our hands, as only the embedded cluster has";
/** Why tests cannot have containers of our images; undefined where they can. */
const noContainers =
  where === "kind"
    ? undefined
    : where === "embedded"
      ? noRealNode
      : "they need a node with our images, and install Proffer themselves";

const unless =
  (reason: string | undefined) =>
  (name: string, tests: () => void): void => {
    if (reason === undefined) describe(name, tests);
    else describe.skip(`${name} (skipped: ${reason})`, tests);
  };

/** Tests on a node with containerd and a kubelet that is all theirs; skipped, with the reason in the name, where there is none. */
export const onRealNode = unless(noRealNode);
/** Tests on any node that runs containers of our images, also one of kind's. */
export const withContainers = unless(noContainers);
