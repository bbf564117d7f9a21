import { ApiError, TransportError } from "../controller/kube/api-error.ts";

/** What went wrong, as one sentence for people. The program says it and ends with 1. */
export class CliError extends Error {}

/** A failure as one sentence: what the server said where it said something, else what happened on the way to it. */
export function sentenceOf(error: unknown): string {
  if (error instanceof ApiError) return serverSentence(error);
  if (error instanceof TransportError) return wayThereSentence(error);
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n")[0] ?? "";
}

function serverSentence(error: ApiError): string {
  if (error.status === 401)
    return "the API server does not accept your credentials: log in again, or use another context";
  // What the server says about a kind that it does not know, in its own words.
  if (error.status === 404 && error.text.includes("could not find the requested resource")) {
    return "this cluster does not know Proffer's objects: install its chart first";
  }
  if (error.text === "") return `the API server answered with status ${error.status}`;
  return error.text;
}

function wayThereSentence({ kind, detail }: TransportError): string {
  switch (kind) {
    case "timeout":
      return `the API server does not answer (${detail})`;
    case "credentials":
      return "the kubeconfig yields no credentials: its token file or plugin failed";
    case "aborted":
      return "it was given up";
    default:
      return `the API server cannot be reached (${detail})`;
  }
}
