import { describe } from "vitest";
import { whyNoRealNode } from "../../../tools/cluster/real-node/requirements.ts";

/** Why these tests cannot run; undefined where they can. A cluster of the user's has no node that may be cut off. */
const reason =
  (process.env.CLUSTER ?? "embedded") === "embedded" ? whyNoRealNode() : "they need a cluster and a node of their own";

/** Tests on a node with containerd and a kubelet; skipped, with the reason in the name, where there can be none. */
export const onRealNode = (name: string, tests: () => void): void => {
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
};
