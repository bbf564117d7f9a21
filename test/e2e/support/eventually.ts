import { waitFor } from "../../../tools/cluster/wait.ts";

export interface EventuallyOptions {
  /** Give up after this long. Default as of `waitFor`. */
  readonly timeoutMs?: number;
  /** Read again after so long. Default 50 ms; longer where much is read. */
  readonly everyMs?: number;
}

/** Reads again and again until what is read holds, and returns it. When time is up, the error says what was read last. */
export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  holds: (value: T) => boolean | undefined,
  options: EventuallyOptions = {},
): Promise<T> {
  let last: T | undefined;
  try {
    const found = await waitFor(
      what,
      async () => {
        last = await read();
        return holds(last) === true && { value: last };
      },
      options,
    );
    return found.value;
  } catch (error) {
    const seen = JSON.stringify(last, (key, value) => (key === "managedFields" ? undefined : value))?.slice(0, 4_000);
    throw new Error(`${(error as Error).message}; seen last: ${seen}`, { cause: (error as Error).cause });
  }
}
