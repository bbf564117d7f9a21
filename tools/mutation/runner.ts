import { globSync } from "node:fs";
import { registerHooks } from "node:module";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { type Case, cases, declare, test } from "./suite.ts";

/** What instrumented code and Stryker tell each other. */
interface Stryker {
  /** The mutant that is in the code at present, if any. */
  activeMutant?: string | undefined;
  /** The test to which what is run counts. */
  currentTestId?: string | undefined;
  mutantCoverage?: unknown;
  /** How often the mutant was met, and after how many times it is in a loop without end. */
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
}

interface MutantRun {
  readonly activeMutant: { readonly id: string };
  readonly sandboxFileName: string;
  readonly testFilter?: readonly string[];
  readonly hitLimit?: number;
}

const stryker: Stryker = {};
Object.assign(globalThis, { __stryker__: stryker });

/** Runs what is `globalThis.__run__` then: a script can be ended though it is in a loop without end. */
const RUN = new Script("__run__()");
/** TestStatus.Success. */
const SUCCESS = 0;
/** A test that takes so much longer than it did without the mutant, at least this many ms, never ends. */
const TIMES_LONGER = 20;
const LONG_MS = 4_000;

/** Files of simulated worlds that take long: see README.md. */
const LEFT_OUT = /explain\/(explain-truth|outlook)|race-pro|starvation/;
/** Tests with thousands of attempts or tasks. */
const TOO_MANY =
  /tell of at most 64 groups|thousands of tasks|however many that are|among 500 small tasks|looked through once a second/;
/** Histories of the simulator that are run, too: the first ones, and others in most of which something is taken back. */
const SEEDS = new Set([...Array(48).keys(), 51, 128, 143, 150, 242, 249, 255, 290, 312, 319]);
/** What tests import -> what they get. */
const STANDS_IN: Record<string, string> = {
  vitest: import.meta.resolve("./suite.ts"),
  "fast-check": import.meta.resolve("./properties.ts"),
};

/**
 * Stryker's way to run tests (its TestRunner): in one process that has loaded all of them once, so that a mutant costs no
 * more than the tests that are run for it. The core has no state of its own, hence none that one test leaves to the next.
 */
class Runner {
  #cases: readonly Case[] = [];
  /** Without a mutant, ms. */
  readonly #took = new Map<Case, number>();

  /** What is loaded stays as it is: Stryker starts another process for mutants that change it. */
  capabilities() {
    return { reloadEnvironment: false };
  }

  async init(): Promise<void> {
    registerHooks({
      resolve: (name, context, next) =>
        name in STANDS_IN && context.parentURL?.endsWith(".test.ts") === true
          ? { url: STANDS_IN[name]!, shortCircuit: true }
          : next(name, context),
    });
    const files = globSync("src/offers/**/*.test.ts").sort();
    for (const file of files.filter((name) => !LEFT_OUT.test(name))) {
      await declare(resolve(file), () => import(pathToFileURL(resolve(file)).href));
    }
    const simulator = resolve("src/simulator/simulation.ts");
    const { Simulation } = await import(pathToFileURL(simulator).href);
    await declare(simulator, async () => {
      for (const seed of SEEDS) test(`seed ${seed}`, () => void new Simulation({ seed }).run());
    });
    this.#cases = cases.filter(({ id }) => !TOO_MANY.test(id));
    this.#measure();
  }

  /** Nothing is mutated: who runs what, and how long each test takes in this process. */
  #measure(): void {
    for (const each of this.#cases) {
      stryker.currentTestId = each.id;
      const sinceMs = performance.now();
      each.run();
      this.#took.set(each, performance.now() - sinceMs);
      // Whatever finds left what it left itself would fail for any mutant.
      each.run();
    }
    stryker.currentTestId = undefined;
  }

  /** All has been measured, or `init` has failed. */
  dryRun() {
    const tests = this.#cases.map((each) => {
      const { id, name, file: fileName } = each;
      return { id, name, fileName, timeSpentMs: this.#tookMs(each), status: SUCCESS };
    });
    return { status: "complete", tests, mutantCoverage: stryker.mutantCoverage };
  }

  /** Tests beside the mutated file come first, then the quick ones: the first that fails is enough. */
  mutantRun({ activeMutant, sandboxFileName, testFilter, hitLimit }: MutantRun) {
    const chosen = testFilter === undefined ? undefined : new Set(testFilter);
    const far = ({ file }: Case) => (dirname(file) === dirname(sandboxFileName) ? 0 : 1);
    const line = this.#cases.filter(({ id }) => chosen?.has(id) !== false);
    line.sort((a, b) => far(a) - far(b) || this.#tookMs(a) - this.#tookMs(b));
    Object.assign(stryker, { activeMutant: activeMutant.id, hitCount: 0, hitLimit });
    try {
      for (const [i, each] of line.entries()) {
        const error = this.#failure(each);
        if (error === undefined) continue;
        if (stryker.hitCount! > (hitLimit ?? Number.POSITIVE_INFINITY) || isTimeout(error))
          return { status: "timeout" };
        return { status: "killed", killedBy: [each.id], failureMessage: String(error), nrOfTests: i + 1 };
      }
      return { status: "survived", nrOfTests: line.length };
    } finally {
      stryker.activeMutant = undefined;
    }
  }

  #tookMs(each: Case): number {
    return this.#took.get(each) ?? 0;
  }

  /** What the test throws. */
  #failure(each: Case): unknown {
    const timeout = Math.round(LONG_MS + TIMES_LONGER * this.#tookMs(each));
    Object.assign(globalThis, { __run__: each.run });
    try {
      RUN.runInThisContext({ timeout });
      return undefined;
    } catch (error) {
      return error;
    }
  }
}

const isTimeout = (error: unknown) => (error as { code?: unknown }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";

export const strykerPlugins = [{ kind: "TestRunner", name: "in-process", injectableClass: Runner }];
