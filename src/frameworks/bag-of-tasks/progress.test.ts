import { beforeEach, describe, expect, test } from "vitest";
import { offer as offerExample, template } from "../../api/object-builders.test-support.ts";
import type { Offer } from "../../api/offer.ts";
import { type Task, taskSpec } from "../../api/task.ts";
import { Memory, offeredOf, pendingOf, unsettledLaunches, waitingOf, wantedOf } from "./progress.ts";
import { NO_COUNTS } from "./world.test-support.ts";

const counts = (change: object) => ({ ...NO_COUNTS, ...change });
function task(spec: object, status?: object, metadata: object = {}): Task {
  const whole = taskSpec.parse({ framework: "f", template: template(), ...spec });
  return { metadata: { name: "t", ...metadata }, spec: whole, ...(status ? { status } : {}) } as Task;
}
const offer = (members: object) => ({ ...offerExample(), metadata: { name: "o", uid: "o" }, ...members }) as Offer;
const launch = (count: number) => ({ task: "t", slice: "s0", count });
const accept = (count: number) => ({ by: "me", decision: "Accept", launches: [launch(count)] });
const outcome = (indexes: string, reason?: string) => ({
  ...{ task: "t", slice: "s0", indexes },
  ...(reason ? { refused: { reason, message: reason } } : {}),
});

describe("the instances of a task that wait", () => {
  test.each([
    { name: "are all, before the operator has looked", of: task({ instances: 3 }), pending: 3 },
    {
      name: "are those that its status says",
      of: task({ instances: 9 }, { counts: counts({ pending: 4 }) }),
      pending: 4,
    },
    {
      name: "are no more than may run at once",
      of: task({ instances: 9, parallelism: 3 }, { counts: counts({ pending: 7, running: 1, staging: 1 }) }),
      pending: 1,
    },
    { name: "are none when it is paused", of: task({ parallelism: 0 }), pending: 0 },
    { name: "are none when all are to be killed", of: task({ instances: 3, kill: {} }), pending: 0 },
    {
      name: "are those left when some are to be killed",
      of: task({ instances: 3, kill: { indexes: "0" } }),
      pending: 3,
    },
    { name: "are none after its end", of: task({}, { state: "Failed", counts: counts({ pending: 1 }) }), pending: 0 },
  ])("$name", ({ of, pending }) => expect(pendingOf(of)).toBe(pending));
});

test("launches of an answer are under way until the operator has settled it", () => {
  expect(unsettledLaunches([offer({}), offer({ answer: accept(2) })])).toEqual([launch(2)]);
  expect(unsettledLaunches([offer({ answer: accept(2), status: { phase: "Accepted" } })])).toEqual([]);
});

test("an offer is open without an answer, without a status, and as long as nobody deletes it", () => {
  const offers = [
    offer({}),
    offer({ answer: accept(1) }),
    offer({ status: { phase: "Rescinded" } }),
    offer({ metadata: { name: "o", deletionTimestamp: "2026-01-01T00:00:00Z" } }),
  ];
  expect(offeredOf(offers).length).toBe(1);
});

describe("what is wanted", () => {
  let memory: Memory;
  beforeEach(() => {
    memory = new Memory();
  });
  const of = (each: Task, nowMs = 0, underWay = [] as ReturnType<typeof launch>[]) =>
    wantedOf(waitingOf([each], memory, nowMs), underWay, memory, nowMs).map(({ count }) => count);
  const seen = (pending: number, instances = 5): Task => {
    const shown = task({ instances }, { counts: counts({ pending, running: instances - pending }) });
    memory.taskSeen(shown);
    return shown;
  };
  const ended = (...launches: object[]) => offer({ answer: accept(2), status: { phase: "Accepted", launches } });

  test("is what waits less what is under way", () => {
    expect(of(task({ instances: 5 }))).toEqual([5]);
    expect(of(task({ instances: 5 }), 0, [launch(2), launch(1)])).toEqual([2]);
    expect(of(task({ instances: 2 }), 0, [launch(2)])).toEqual([]);
  });

  test("is nothing of a task that is being deleted", () => {
    expect(of(task({}, undefined, { deletionTimestamp: "2026-01-01T00:00:00Z" }))).toEqual([]);
  });

  test("leaves out what was just launched, until the task says so or time has passed", () => {
    seen(5);
    memory.answerGiven("o", [launch(3)], 0);
    memory.offerSeen(ended(outcome("0,3-4")), 0);
    expect(of(seen(5))).toEqual([2]);
    expect(memory.nextMs(0)).toBe(60_000);
    expect(of(seen(5), 60_000)).toEqual([5]);
    expect(of(seen(2))).toEqual([2]);
    expect(memory.nextMs(0)).toBeUndefined();
  });

  test("is right while instances are tried again", () => {
    seen(5);
    memory.answerGiven("o", [launch(3)], 0);
    memory.offerSeen(ended(outcome("0-2")), 0);
    // All three were started, one of them failed and waits again: one write of the status tells all of it.
    const attempts = [{ indexes: "1", ended: 1, failed: 1 }];
    const shown = task({ instances: 5 }, { counts: counts({ pending: 3, running: 2 }), attempts });
    memory.taskSeen(shown);
    expect(of(shown)).toEqual([3]);
  });

  test("is right while a status shows some of the launches only", () => {
    seen(5);
    for (const uid of ["a", "b"]) {
      memory.answerGiven(uid, [launch(2)], 0);
      memory.offerSeen({ ...ended(outcome("0-1")), metadata: { name: uid, uid } }, 0);
    }
    expect([of(seen(5)), of(seen(3)), of(seen(1))]).toEqual([[1], [1], [1]]);
  });

  test("counts nothing twice when the task was quicker to say so than the offer", () => {
    seen(5);
    memory.answerGiven("o", [launch(3)], 0);
    expect(of(seen(2), 0, [launch(3)])).toEqual([2]);
    memory.offerSeen(ended(outcome("0-2")), 0);
    expect(of(seen(2))).toEqual([2]);
  });

  test("does not count the end of an offer each time that it is seen", () => {
    seen(5);
    memory.offerSeen(ended(outcome("0")), 0);
    memory.offerSeen(ended(outcome("0")), 0);
    expect(of(seen(4))).toEqual([4]);
  });

  test("waits only shortly for the status where an earlier run of the program gave the answer", () => {
    memory.offerSeen(ended(outcome("0")), 0);
    expect([of(seen(5), 1_999), of(seen(5), 2_000)]).toEqual([[4], [5]]);
  });

  test("does not go on missing an earlier run's launches that the status shows already, whatever is launched since", () => {
    seen(3);
    memory.offerSeen(ended(outcome("0-1")), 0);
    memory.answerGiven("own", [launch(1)], 1_000);
    memory.offerSeen({ ...ended(outcome("2")), metadata: { name: "own", uid: "own" } }, 1_000);
    expect([of(seen(2), 1_999), of(seen(2), 2_000)]).toEqual([[], [2]]);
  });

  test("begins afresh once what was not shown is forgotten", () => {
    seen(5);
    memory.answerGiven("a", [launch(2)], 0);
    memory.offerSeen({ ...ended(outcome("0-1")), metadata: { name: "a", uid: "a" } }, 0);
    memory.answerGiven("b", [launch(1)], 70_000);
    memory.offerSeen({ ...ended(outcome("0")), metadata: { name: "b", uid: "b" } }, 70_000);
    expect(of(seen(5), 70_000)).toEqual([4]);
  });

  test("leaves out a task whose launches are refused, longer each time, until one succeeds", () => {
    const refuse = (uid: string, nowMs: number) =>
      memory.offerSeen(offer({ ...ended(outcome("", "too-large")), metadata: { name: uid, uid } }), nowMs);
    refuse("a", 0);
    expect([of(task({}), 999), of(task({}), 1_000)]).toEqual([[], [1]]);
    refuse("b", 1_000);
    expect([of(task({}), 2_999), of(task({}), 3_000)]).toEqual([[], [1]]);
    memory.offerSeen(ended(outcome("0")), 3_000);
    refuse("c", 6_000);
    expect([of(task({}), 6_999), of(task({}), 7_000)]).toEqual([[], [1]]);
  });

  test("keeps a task that only lost a race", () => {
    memory.offerSeen(ended(outcome("", "lost-race")), 0);
    expect(of(task({}))).toEqual([1]);
  });
});
