import { GIB, type Launch, launchesOf, offersOf, World } from "./broker-world.ts";
import type { Figure } from "./figures.ts";
import { median } from "./statistics.ts";

const NODES = 10_000;
const FRAMEWORKS = 1_000;
const CYCLES = 60;
/** Instances that each framework wishes for in each cycle. */
const WISHES = 10;

/** The pure broker at 10,000 nodes and 1,000 frameworks: a full cycle, and how soon one freed task is offered again. */
export async function brokerFigures(): Promise<Figure[]> {
  const cycle = cycleSeconds();
  const reoffer = reofferMs();
  return [
    { name: "broker_cycle_s", value: cycle, unit: "s", target: "≤ 0.2", reference: 1.06, ratio: cycle / 1.06 },
    { name: "broker_reoffer_ms", value: reoffer, unit: "ms", target: "≤ 1" },
  ];
}

/**
 * A round, then every offer answered: two frameworks of three decline for an hour (by the last cycle about 400,000 filters
 * stand), one accepts, and what it accepted ends two cycles later. 1,000 different shapes. The median of the last twenty.
 */
function cycleSeconds(): number {
  const world = new World({ nodes: NODES, cpu: 32_000 });
  world.queue("default");
  const requests = (i: number) => ({ cpu: 1_000 + i, memory: GIB, pods: 1 });
  for (let i = 0; i < FRAMEWORKS; i++) {
    const resources = requests(i);
    world.framework(`f${i}`, i % 3 === 0 ? {} : { demand: [{ instances: WISHES, resources }] });
    if (i % 3 === 0) world.task(`t${i}`, `f${i}`, resources, { instances: WISHES * CYCLES });
  }
  world.apply({ type: "opened" });
  const running: { launch: Launch; cycle: number }[] = [];
  let ended = 0;
  const seconds: number[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const startMs = performance.now();
    for (const offer of offersOf(world.tick())) {
      const i = Number(offer.framework.slice(4));
      const launches = offer.slices.slice(0, WISHES).map(({ name, resources }) => ({
        task: `t${i}`,
        slice: name,
        count: Math.min(WISHES, Math.floor(resources.pods ?? 1)),
      }));
      const effects =
        i % 3 === 0
          ? world.answer(offer, { decision: "Accept", launches })
          : world.answer(offer, { decision: "Decline", refuseMs: 3_600_000 });
      for (const launch of launchesOf(effects)) running.push({ launch, cycle });
    }
    seconds.push((performance.now() - startMs) / 1_000);
    for (; ended < running.length && running[ended]!.cycle < cycle - 1; ended++) {
      const { launch } = running[ended]!;
      world.pod(launch, requests(Number(launch.framework.slice(4))), "Succeeded");
    }
  }
  return median(seconds.slice(-20));
}

/** A full cluster and 1,000 frameworks that want more: from the end of one task to its room being offered. Median of 200. */
function reofferMs(): number {
  const world = new World({ nodes: NODES, cpu: 1_000 });
  world.queue("default");
  const requests = { cpu: 1_000, memory: GIB, pods: 1 };
  world.framework("filler", { scheduler: "Builtin", placement: "BinPack" });
  world.task("filler", "filler", requests, { instances: NODES });
  world.apply({ type: "opened" });
  const placed = launchesOf(world.tick());
  for (const launch of placed) world.pod(launch, requests, "Running");
  for (let i = 0; i < FRAMEWORKS; i++) {
    const resources = { ...requests, cpu: 500 + (i % 50) };
    world.framework(`f${i}`, { demand: [{ instances: 1 + (i % 7), resources }] });
  }
  world.tick();
  const times = placed.slice(0, 200).map((launch) => {
    world.nowMs += 1_000;
    const startMs = performance.now();
    world.pod(launch, requests, "Succeeded");
    const offered = offersOf(world.apply({ type: "tick" })).length > 0;
    if (!offered) throw new Error("the room of a task that has ended was not offered");
    return performance.now() - startMs;
  });
  return median(times);
}

if (import.meta.main) for (const figure of await brokerFigures()) console.log(JSON.stringify(figure));
