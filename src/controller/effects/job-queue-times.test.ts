import { expect, test } from "vitest";
import { TransportError } from "../kube/api-error.ts";
import { FakeClock } from "../kube/clock.test-support.ts";
import { noLogger, noTelemetry } from "../telemetry.ts";
import { type JobEnd, JobQueue, type Lane } from "./job-queue.ts";

function setUp() {
  const clock = new FakeClock();
  const ended: [lane: string, seconds: number][] = [];
  const telemetry = {
    ...noTelemetry,
    effectEnded: (lane: string, seconds: number) => void ended.push([lane, seconds]),
  };
  const jobs = new JobQueue({ clock, random: () => 0, telemetry, log: noLogger });
  /** A job whose runs come to these ends, one after the other. */
  const add = (key: string, lane: Lane, ...ends: (JobEnd | Error)[]) => {
    const run = async () => {
      const end = ends.shift() ?? "done";
      if (end instanceof Error) throw end;
      return end;
    };
    jobs.add({ key, lane, type: "create-pod", run });
  };
  return { clock, ended, add };
}

test("a decision is timed until it has been carried out, with every wait in between", async () => {
  const { clock, ended, add } = setUp();
  add("a", "launch", { againAfterMs: 1_500 }, "done");
  await clock.advance(0);
  expect(ended).toEqual([]);
  await clock.advance(1_500);
  expect(ended).toEqual([["launch", 1.5]]);
});

test("one that is refused for good has ended, too", async () => {
  const { clock, ended, add } = setUp();
  add("a", "close", "refused");
  await clock.advance(0);
  expect(ended).toEqual([["close", 0]]);
});

test("the time behind another job of the same key counts", async () => {
  const { clock, ended, add } = setUp();
  add("a", "launch", { againAfterMs: 400 }, "done");
  add("a", "launch", "done");
  await clock.advance(0);
  await clock.advance(400);
  expect(ended).toEqual([
    ["launch", 0.4],
    ["launch", 0.4],
  ]);
});

test("what the end of the term dropped was not carried out", async () => {
  const { clock, ended, add } = setUp();
  add("a", "launch", new TransportError("fenced", "stood down", false, false));
  await clock.advance(0);
  expect(ended).toEqual([]);
});
