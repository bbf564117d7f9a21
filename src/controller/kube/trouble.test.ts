import { expect, test } from "vitest";
import { ApiError, TransportError } from "./api-error.ts";
import { troubleWith } from "./trouble.ts";

test.each([
  [
    new TransportError("network", "ECONNREFUSED", false, false),
    "the API server at https://api cannot be reached: ECONNREFUSED",
  ],
  [
    new TransportError("timeout", "no answer in 4 s", true, false),
    "the API server at https://api does not answer: no answer in 4 s",
  ],
  [
    new TransportError("credentials", "the token file yields none", false, false),
    "there are no credentials for the API server at https://api: the token file yields none",
  ],
  [
    new ApiError({ status: 401, reason: "Unauthorized" }),
    "the API server at https://api does not accept the credentials (401)",
  ],
  [
    new ApiError({ status: 403, reason: "Forbidden", message: 'pods is forbidden: User "u" cannot list' }),
    'the API server answers 403 Forbidden: pods is forbidden: User "u" cannot list',
  ],
  [new TypeError("x is not a function"), undefined],
])("%s is told in one sentence, our own mistakes are not", (error, sentence) => {
  expect(troubleWith("https://api", error)).toBe(sentence);
});
