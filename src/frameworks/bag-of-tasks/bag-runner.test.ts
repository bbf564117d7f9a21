import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../../controller/kube/clock.test-support.ts";
import { uniformBag } from "./bag.ts";
import { BagRunner, type Summary } from "./bag-runner.ts";
import { World } from "./world.test-support.ts";

const entries = (instances: number) =>
  uniformBag(
    { instances, resources: { cpu: 1 }, durationSeconds: 1 },
    { bag: "b", image: "i", retryLimit: 0, queue: undefined, podAnnotations: {} },
  );

let clock: FakeClock;
let world: World;
let stop: AbortController;
let lines: string[];

beforeEach(() => {
  clock = new FakeClock();
  world = new World();
  stop = new AbortController();
  lines = [];
});

/** Starts a program with a bag of so many instances. */
function start(instances: number): Promise<Summary | undefined> {
  const log = (line: string): void => void lines.push(line);
  const runner = new BagRunner({ client: world, clock, bag: "b", entries: entries(instances), refuseSeconds: 60, log });
  world.listener = (change) => runner.onChange(change);
  return runner.run(stop.signal);
}

const soon = () => clock.advance(100);
const accepted = () =>
  world.answers.map(({ answer }) => (answer.launches ?? []).reduce((sum, { count }) => sum + count, 0));

describe("a bag of tasks", () => {
  test("runs to its end through as many offers as it takes, and suppresses itself", async () => {
    const ended = start(5);
    await soon();
    expect(world.created).toEqual(["b-1"]);
    expect(world.framework().spec.suppressed).toBe(false);
    for (const cpu of [2, 2, 2]) {
      const { metadata } = world.propose(cpu);
      await soon();
      world.settle(metadata.name);
      await soon();
    }
    expect(accepted()).toEqual([2, 2, 1]);
    world.finish();
    await soon();
    expect(await ended).toEqual({ Finished: 1 });
    expect(world.framework().spec.suppressed).toBe(true);
    expect(lines.at(-2)).toBe("0 wait, 0 run, 5 finished, 0 failed");
  });

  test("does not launch on a second offer what the first has been accepted for", async () => {
    start(3);
    await soon();
    world.propose(2);
    await soon();
    world.propose(9);
    await soon();
    expect(accepted()).toEqual([2, 1]);
  });

  test("declines what is too small, with a filter, and does not ask for it again", async () => {
    start(1);
    await soon();
    const { metadata } = world.propose(0.5);
    await soon();
    world.settle(metadata.name);
    await clock.advance(30_000);
    expect(world.answers).toEqual([
      {
        offer: "o1",
        answer: { decision: "Decline", filter: { refuseSeconds: 60 }, reason: "nothing that waits fits" },
      },
    ]);
    expect(world.patches).toEqual([{ suppressed: false }]);
  });

  test("declines only for a moment what would fit, were it not launched elsewhere already", async () => {
    start(1);
    await soon();
    world.propose(1);
    await soon();
    world.propose(1);
    await soon();
    expect(world.answers[1]!.answer).toEqual({
      decision: "Decline",
      filter: { refuseSeconds: 2 },
      reason: "what fits is launched already",
    });
  });

  test("that has work again revives what it declined for want of work, once", async () => {
    start(1);
    await soon();
    world.propose(1);
    await soon();
    world.settle("o1");
    world.propose(1);
    await soon();
    expect(world.answers[1]!.answer.reason).toBe("nothing waits");
    world.settle("o2");
    await soon();
    expect(world.patches).toEqual([{ suppressed: false }]);
    world.setCounts("b-1", { running: -1, pending: 1 });
    await soon();
    await clock.advance(10_000);
    expect(world.patches).toEqual([{ suppressed: false }, { revive: 1 }]);
  });

  test("that loses a race tries again with the next offer", async () => {
    start(2);
    await soon();
    world.propose(2);
    await soon();
    world.settle("o1", "lost-race");
    world.propose(2);
    await soon();
    expect(accepted()).toEqual([2, 2]);
    expect(lines).toContain("o1: b-1 was refused: lost-race: lost-race");
  });

  test("whose launches are refused for another reason waits longer each time", async () => {
    start(1);
    await soon();
    let offers = 0;
    for (let seconds = 0; seconds < 60; seconds++) {
      world.propose(1);
      await clock.advance(1_000);
      const name = `o${++offers}`;
      if (world.answers.at(-1)!.answer.decision === "Accept") world.settle(name, "too-large");
      else world.settle(name);
      await soon();
    }
    const tries = world.answers.filter(({ answer }) => answer.decision === "Accept").length;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(8);
  });

  test("goes on after a crash where the objects say it was", async () => {
    void start(4);
    await soon();
    world.propose(1);
    world.propose(1);
    await soon();
    world.settle("o1");
    await soon();
    // One runs, one is accepted and not settled; the program is started anew.
    const ended = start(4);
    await soon();
    expect(world.created).toEqual(["b-1"]);
    world.propose(9);
    await soon();
    expect(accepted()).toEqual([1, 1, 2]);
    world.settle("o2");
    world.settle("o3");
    world.finish();
    await soon();
    expect(await ended).toEqual({ Finished: 1 });
  });

  test("that is stopped lets its tasks run, and is offered nothing meanwhile", async () => {
    const ended = start(1);
    await soon();
    stop.abort();
    await soon();
    expect(await ended).toBeUndefined();
    expect(world.framework().spec.suppressed).toBe(true);
  });

  test("with nothing left but failures says so", async () => {
    const ended = start(2);
    await soon();
    world.setCounts("b-1", { pending: -2, failed: 1, finished: 1 });
    await soon();
    expect(await ended).toEqual({ Failed: 1 });
  });

  test("does not wait for tasks that someone deleted", async () => {
    const ended = start(1);
    await soon();
    world.deleteTask("b-1");
    await soon();
    expect(await ended).toEqual({});
  });

  test("does not take another bag's tasks for its own", async () => {
    void start(3);
    await soon();
    await expect(start(4)).rejects.toThrow("the task b-1 is there already, but it has 3 instances");
  });

  test("whose answer the server refuses does not repeat it", async () => {
    start(1);
    await soon();
    world.answerResult = { type: "refused", message: "no" };
    world.propose(1);
    await clock.advance(60_000);
    expect(world.answers.length).toBe(1);
    world.answerResult = undefined;
    world.propose(1);
    await soon();
    expect(accepted()).toEqual([1, 1]);
  });

  test("tries an answer that did not get through again, at a leisurely pace", async () => {
    start(1);
    await soon();
    world.answerResult = new Error("no route to host");
    world.propose(1);
    await clock.advance(5_000);
    expect(world.answers.length).toBeGreaterThan(3);
    expect(world.answers.length).toBeLessThan(7);
    world.answerResult = undefined;
    await clock.advance(2_000);
    world.settle("o1");
    expect(world.offers()[0]!.status?.phase).toBe("Accepted");
  });
});
