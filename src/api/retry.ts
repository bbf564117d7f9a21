import { z } from "zod";
import { int, shared } from "./common.ts";

/** How often and when an instance is tried again. */
export const retry = () =>
  shared(
    "Retry",
    "How often and when an instance is tried again.",
    z.object({
      limit: int(0, 100).default(0).describe("How many times an instance is tried again after a failure of its own."),
      backoffSeconds: int(1, 3600).default(10).describe("The wait before the first retry; it doubles with each one."),
      maxBackoffSeconds: int(1, 86_400).default(300).describe("The longest wait before a retry."),
      onNodeLost: z
        .enum(["Never", "Retry"])
        .default("Never")
        .describe(
          "Whether an instance whose node went away is tried again. A node that is cut off may still run it: choose `Retry` " +
            "only if two at once do no harm. Such attempts do not count against `limit`.",
        ),
    }),
  );

/** When an ended Task is deleted. */
export const ttlSeconds = () => int(0, 31_536_000);

export type Retry = z.infer<ReturnType<typeof retry>>;
