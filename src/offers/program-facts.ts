/** What becomes of the tasks of a framework whose program stays away. */
export interface FailoverFacts {
  readonly timeoutMs: number;
  /** After that: `Kill` ends them, `Orphan` lets them run to their ends. */
  readonly policy: "Kill" | "Orphan";
}

/** A Lease that a framework's program renews for as long as it is there. */
export interface LeaseFacts {
  /** "namespace/name", as the framework's. */
  readonly key: string;
  readonly framework: string;
  /** By our clock: when a renewal was seen, or what the Lease says where it was not seen to change. */
  readonly renewedAtMs: number;
  readonly durationMs: number;
  /** Its holder has given it back. */
  readonly released: boolean;
}
