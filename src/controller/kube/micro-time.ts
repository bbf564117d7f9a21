/**
 * Kubernetes' MicroTime, `2026-01-01T00:00:00.123000Z`: leases and events are refused without six decimals.
 *
 * @param nowMs wall-clock milliseconds
 * @param micros 0 to 999, for what must differ within a millisecond
 */
export function microTime(nowMs: number, micros = 0): string {
  return `${new Date(nowMs).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
}
