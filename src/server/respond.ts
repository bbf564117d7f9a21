import type { FastifyReply } from "fastify";
import type { Problem } from "./errors.ts";
import { printable } from "./printable.ts";

/** What a handler answers: the same content for programs and for people. */
export interface Document {
  readonly json: object;
  readonly text: string;
}

/** A text that has its format from elsewhere. */
export interface Raw {
  readonly raw: string;
  readonly contentType: string;
}

export type Result = Document | Raw | Problem;

export type Format = "json" | "text";

/** There is no page here: whatever a browser takes an answer for, it may do nothing with it. */
const securityHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export const isProblem = (result: Result): result is Problem => "code" in result;

/** JSON unless the caller asks for text: by `?format=`, or by naming text/plain first of the two. */
export function formatOf(format: unknown, accept: string | undefined): Format {
  if (format === "json" || format === "text") return format;
  const text = accept?.indexOf("text/plain") ?? -1;
  const json = accept?.indexOf("application/json") ?? -1;
  return text !== -1 && (json === -1 || text < json) ? "text" : "json";
}

export function send(reply: FastifyReply, format: Format, result: Result): void {
  reply.headers(securityHeaders);
  if ("raw" in result) {
    void reply.header("content-type", result.contentType).send(result.raw);
    return;
  }
  if (isProblem(result)) void reply.code(result.status).headers(result.headers);
  const { json, text } = isProblem(result) ? problemDocument(result) : result;
  const type = format === "text" ? "text/plain" : "application/json";
  const body = format === "text" ? text : `${JSON.stringify(json)}\n`;
  void reply.header("content-type", `${type}; charset=utf-8`).send(printable(body));
}

export function problemDocument({ code, message, page }: Problem): Document {
  return { json: { code, message, page }, text: `${code}: ${message}\nSee ${page}\n` };
}
