import { expect, vi } from "vitest";

/**
 * What the tests of src/offers use of vitest, in the process at hand: files are loaded once, and any test can be run again
 * at any time. Stands in for vitest where a test is run for each of a thousand mutants.
 */
export { expect, vi };

export interface Case {
  /** Unique: its file, the names of the groups it is in and its own, and which of a table's rows it is. */
  readonly id: string;
  readonly name: string;
  readonly file: string;
  /** Runs what comes before each test of its groups, and the test. Throws if it fails. */
  readonly run: () => void;
}

type Body = (...row: readonly never[]) => void;

/** Of the files loaded so far. */
export const cases: Case[] = [];
/** File and groups that are being declared. */
let path: string[] = [];
let hooks: (() => void)[] = [];

/** Declares what a file does. */
export async function declare(file: string, load: () => Promise<unknown>): Promise<void> {
  [path, hooks] = [[file], []];
  await load();
}

export function beforeEach(hook: () => void): void {
  hooks.push(hook);
}

function group(name: string, body: () => void): void {
  const around = { path, hooks };
  [path, hooks] = [[...path, name], [...hooks]];
  body();
  ({ path, hooks } = around);
}

function one(name: string, body: () => unknown): void {
  const before = hooks;
  const id = [...path, name].join(" > ");
  const run = () => {
    for (const hook of before) hook();
    if (body() instanceof Promise) throw new Error(`${id}: the core is synchronous, and so are its tests`);
  };
  cases.push({ id, name: [...path.slice(1), name].join(" > "), file: path[0]!, run });
}

/** A row that is a list is the body's arguments, any other its only one. */
const each =
  (declared: (name: string, body: () => void) => void) =>
  (rows: readonly unknown[]) =>
  (name: string, body: Body): void => {
    for (const [i, row] of rows.entries()) {
      declared(`${name} [${i}]`, () => body(...((Array.isArray(row) ? row : [row]) as never[])));
    }
  };

export const describe = Object.assign(group, { each: each(group) });
export const test = Object.assign(one, { each: each(one) });
