import { describe, expect, test } from "vitest";
import { queueDefinition } from "../api/queue.ts";
import { taskDefinition } from "../api/task.ts";
import { rowsOf } from "./get/columns.ts";
import { kindOf, refOf } from "./kinds.ts";
import { ageText, tableText } from "./table.ts";

test("columns are as wide as their widest cell, and nothing stands behind the last", () => {
  expect(
    tableText([
      ["NAME", "WHY"],
      ["größe", ""],
      ["b", "x"],
    ]),
  ).toBe("NAME    WHY\ngröße\nb       x\n");
});

test("what would make a terminal do something is written out", () => {
  expect(tableText([["a\u001b[2J\nb"]])).toBe("a\\u001b[2J\\nb\n");
});

const S = 1_000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test.each([
  [-5 * S, "0s"],
  [0, "0s"],
  [119 * S, "119s"],
  [2 * M, "2m"],
  [3 * M + 12 * S, "3m12s"],
  [10 * M + 12 * S, "10m"],
  [179 * M, "179m"],
  [3 * H + 5 * M, "3h5m"],
  [8 * H + 5 * M, "8h"],
  [47 * H, "47h"],
  [2 * D + 3 * H, "2d3h"],
  [8 * D + 3 * H, "8d"],
  [729 * D, "729d"],
  [2 * 365 * D + 11 * D, "2y11d"],
  [9 * 365 * D + 11 * D, "9y"],
])("%d ms ago is said as %s, as kubectl does", (ms, text) => {
  expect(ageText(0, ms)).toBe(text);
});

describe("the rows of a kind", () => {
  const nowMs = Date.parse("2026-01-01T00:01:00Z");
  const task = {
    metadata: { name: "t", namespace: "a", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { framework: "fw", priority: 7 },
    status: { state: "Running", counts: { running: 0 }, progress: "0/1" },
  };

  test("have kubectl's columns", () => {
    const [header, row] = rowsOf(taskDefinition, [task], { wide: false, namespaces: false, nowMs });
    expect(header).toEqual(["NAME", "FRAMEWORK", "STATE", "RUNNING", "DONE", "NODE", "WHY", "AGE"]);
    expect(row).toEqual(["t", "fw", "Running", "0", "0/1", "", "", "60s"]);
  });

  test("have more of them where asked to, and the namespace", () => {
    const [header, row] = rowsOf(taskDefinition, [task], { wide: true, namespaces: true, nowMs });
    expect(header?.slice(0, 3)).toEqual(["NAMESPACE", "NAME", "FRAMEWORK"]);
    expect(row?.[header?.indexOf("PRIORITY") ?? -1]).toBe("7");
    expect(row?.[0]).toBe("a");
  });

  test("are there for objects without a status", () => {
    const rows = rowsOf(queueDefinition, [{ metadata: { name: "q" } }], { wide: true, namespaces: false, nowMs });
    expect(rows[1]?.[0]).toBe("q");
    expect(rows[1]?.at(-1)).toBe("<unknown>");
  });
});

test("kinds have all names that kubectl knows them by", () => {
  const names = ["task", "tasks", "ptask", "Tasks", "tasks.proffer.dev", "task.proffer.dev"];
  expect(new Set(names.map((name) => kindOf(name).kind))).toEqual(new Set(["Task"]));
  expect(() => kindOf("pods")).toThrow("none of Proffer's kinds: queues, frameworks, tasks, offers");
});

test("a queue is in no namespace", () => {
  expect(refOf(queueDefinition, "a", "q").namespace).toBeUndefined();
  expect(refOf(taskDefinition, "a", "q").namespace).toBe("a");
});
