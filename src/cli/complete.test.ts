import { expect, test } from "vitest";
import { candidates, completionText, type NamesOf } from "./complete.ts";
import { createProgram } from "./program.ts";
import { TestTerminal } from "./session.test-support.ts";

const asked: unknown[] = [];
const namesOf: NamesOf = async (kind, flags) => {
  asked.push([kind, flags]);
  return ["nightly", "nine", "other"];
};
const complete = (...words: string[]) => {
  const surroundings = { terminal: new TestTerminal(), onInterrupt: () => () => {}, exitWith: () => {} };
  return candidates(createProgram(surroundings, "0"), words, namesOf);
};

test.each<[words: string[], found: string[]]>([
  [[""], ["run", "get", "explain", "top", "completion"]],
  [["e"], ["explain"]],
  [
    ["get", ""],
    ["queues", "frameworks", "tasks", "offers"],
  ],
  [["get", "t"], ["tasks"]],
  [
    ["get", "tasks", "ni"],
    ["nightly", "nine"],
  ],
  [["get", "-n", "team-a", "fw", "-o", "wide", "o"], ["other"]],
  [
    ["get", "-o", ""],
    ["wide", "json", "yaml", "name"],
  ],
  [["get", "--output", "y"], ["yaml"]],
  [["get", "--namespace", ""], []],
  [["explain", "f"], ["framework"]],
  [
    ["top", ""],
    ["queues", "frameworks", "nodes"],
  ],
  [
    ["run", "--framework", "ni"],
    ["nightly", "nine"],
  ],
  [["run", "-f", "nig"], ["nightly"]],
  [["run", "--det"], ["--detach"]],
  [["run", "-n", "4", ""], []],
  [["run", "--bad-flag", "x", "--", "-"], []],
  [["absent", ""], []],
])("after %j comes one of %j", async (words, found) => {
  expect(await complete(...words)).toEqual(found);
});

test("names are those of the namespace and the cluster that the flags name", async () => {
  asked.length = 0;
  await complete("get", "--context", "there", "-n", "team-a", "tasks", "");
  expect(asked).toEqual([["tasks", expect.objectContaining({ namespace: "team-a", context: "there" })]]);
});

test("kubectl is told to add no names of files", () => {
  expect(completionText(["a", "b"])).toBe("a\nb\n:4\n");
  expect(completionText([])).toBe(":4\n");
});
