import { describe, expect, test } from "vitest";
import { Bench } from "../broker.test-support.ts";
import type { QueueFacts } from "../queues/queue-facts.ts";

const gang = (minimum: number) => ({ instances: minimum, gang: { minimum } });
const why = (made: Bench, name = "t") => made.broker.explainTask(`${name}-uid`)!;
/** Nodes that have so many CPUs. */
const nodes = (made: Bench, ...cpus: number[]) => {
  for (const [n, cpu] of cpus.entries()) made.node(`n${n}`, { cpu, memory: 99 });
  return made;
};

describe("what starts together can never start", () => {
  test.each<{ name: string; top?: Partial<QueueFacts>; own: Partial<QueueFacts>; message: string | undefined }>([
    {
      name: "past its queue's limit",
      own: { limit: { cpu: 7 } },
      message: "cpu 8m together, the limit of queue own is 7m",
    },
    { name: "and may at the limit", own: { limit: { cpu: 8 } }, message: undefined },
    {
      name: "nor past that of a queue above",
      top: { limit: { memory: 11 } },
      own: { limit: { cpu: 8 } },
      message: "memory 12Ki together, the limit of queue top is 11Ki",
    },
    {
      name: "and may where the limit is one of what it does not ask for",
      own: { limit: { pods: 4, "x/gpu": 0 } },
      message: undefined,
    },
  ])("$name", ({ top = {}, own, message }) => {
    const made = Bench.open()
      .queue("top", top)
      .queue("own", { parent: "top", ...own });
    nodes(made.framework("f", { queues: [{ name: "own", weight: 1 }] }), 3, 9);
    made.asking("stay", { cpu: 9 }, { of: "g" }).asking("t", { cpu: 2, memory: 3 }, gang(4)).settle();
    if (message === undefined) expect(made.all("create-pod")).toHaveLength(4);
    else
      expect(why(made)).toEqual({
        reason: "gang-too-large",
        message: `gang of 4: ${message}; raise it, or ask for less`,
      });
  });

  test("where fewer of it fit on all the nodes that it may use, be they empty, and that is said of the Task in question", () => {
    const made = nodes(Bench.open().framework("f"), 3, 3).node("other", { cpu: 99 }, { labels: { other: "yes" } });
    const constraints = { nodeAffinity: [{ matchExpressions: [{ key: "other", operator: "DoesNotExist" as const }] }] };
    made.asking("t", { cpu: 2 }, { ...gang(3), constraints }).settle();
    const fits = "fit on the nodes it may use if they were empty; add nodes, or ask for less";
    expect(why(made)).toEqual({ reason: "gang-too-large", message: `gang of 3: 3 together, 2 ${fits}` });
    const group = { name: "g", size: 2 };
    made.asking("a", { cpu: 1 }, { group, constraints }).asking("b", { cpu: 3 }, { group, instances: 3, constraints });
    made.settle();
    for (const name of ["a", "b"]) {
      expect(why(made, name)).toEqual({
        reason: "gang-too-large",
        message: `group g of 2 tasks: 3 of task b together, 2 ${fits}`,
      });
    }
  });

  test("and as soon as there are nodes, room in its queue or less to start, it may", () => {
    const made = nodes(Bench.open().framework("f"), 2).queue("default", { limit: { cpu: 4 } });
    made.asking("t", { cpu: 1 }, gang(3)).settle();
    expect(why(made).message).toContain("3 together, 2 fit");
    made.node("more", { cpu: 2 }).settle();
    expect(made.all("create-pod")).toHaveLength(3);
    made.asking("u", { cpu: 1 }, gang(5)).settle();
    expect(why(made, "u").message).toContain("cpu 5m together");
    made.queue("default", { limit: { cpu: 5 } }).settle();
    expect(why(made, "u").message).toContain("5 together, 4 fit");
  });
});

describe("an offer names so many nodes at most", () => {
  /** 64 nodes of 2 CPUs at least, more of which have 1, and a gang of so many on them, of one CPU each. */
  function site(minimum: number, large: number): Bench {
    const made = Bench.open().framework("f", { scheduler: "Offers" });
    nodes(made, ...Array.from({ length: 66 }, (_, n) => (n >= 66 - large ? 2 : 1)));
    return made.asking("t", { cpu: 1 }, gang(minimum)).settle();
  }

  test.each([
    { minimum: 66, large: 2, fits: true },
    { minimum: 67, large: 2, fits: false },
    { minimum: 65, large: 0, fits: false },
    { minimum: 64, large: 0, fits: true },
  ])("of $minimum together on 66 nodes of which $large have room for two: $fits", ({ minimum, large, fits }) => {
    const made = site(minimum, large);
    if (fits) expect(made.openOffers()).toHaveLength(1);
    else
      expect(why(made)).toEqual({
        reason: "gang-too-wide",
        message: `gang of ${minimum}: ${minimum} together, an offer has 64 slices and ${64 + large} fit on so many nodes; make it fewer and larger ones, or use a Builtin framework`,
      });
  });
});
