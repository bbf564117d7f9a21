import { ApiError, isStatus, TransportError } from "./api-error.ts";

/** What keeps us from the API server, as one sentence; undefined for anything that is our own mistake. */
export function troubleWith(server: string, error: unknown): string | undefined {
  if (error instanceof TransportError) {
    if (error.kind === "credentials")
      return `there are no credentials for the API server at ${server}: ${error.detail}`;
    if (error.kind === "timeout") return `the API server at ${server} does not answer: ${error.detail}`;
    return `the API server at ${server} cannot be reached: ${error.detail}`;
  }
  if (isStatus(error, 401)) return `the API server at ${server} does not accept the credentials (401)`;
  if (error instanceof ApiError) return `the API server answers ${error.message}`;
  return undefined;
}
