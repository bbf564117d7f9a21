import type { Order } from "../src/offers/policies/registry.ts";
import { GIB, type Launch, launchesOf, offersOf, World } from "./broker-world.ts";
import type { Figure } from "./figures.ts";
import { median } from "./statistics.ts";

const NODES = 10_000;
const FRAMEWORKS = 1_000;
const CYCLES = 60;
/** What is measured is the median of the cycles from this one on. */
const MEASURED_FROM = 50;
/** So many filters are in force by then at least. */
const FILTERS = 500_000;
/** Instances that each framework wishes for in each cycle; of those that accept, every other wants them all together. */
const WISHES = 10;
/** Parts that the nodes are in: a framework that declines has refused a whole part before the first cycle. */
const BLOCKS = 13;
const MILLICORES = 32_000;
const HALL = 100;
const ORDERS: readonly Order[] = ["DominantShare", "Capacity", "Fair", "Priority", "Fifo"];

/**
 * A full cycle with all that sharing knows in use: 200 queues in three levels, in every order, with guarantees and limits;
 * 1,000 frameworks of 1,000 shapes. A round, then every offer answered: a third of the frameworks accept, half of those for
 * gangs, a tenth of all by races; the others decline for an hour, and have done so before, so that more than
 * 500,000 filters stand by the 50th cycle. A gang of half a hall that is never empty has room held for it all the while.
 */
export function fullCycleFigure(): Figure {
  const world = new World({ nodes: NODES, cpu: MILLICORES, hall: HALL, blocks: BLOCKS, holdAfterMs: 5_000 });
  const leaves = queues(world);
  world.queue("hall");
  world.apply({ type: "opened" });
  for (let i = 0; i < FRAMEWORKS; i++) if (!accepts(i)) refuseBlock(world, i);
  for (let i = 0; i < FRAMEWORKS; i++) {
    world.framework(`f${i}`, {
      queues: [{ name: leaves[i % leaves.length]!, weight: 1 }],
      ...(i % 10 === 9 && { concurrency: "Optimistic" as const }),
      ...(accepts(i) ? {} : { demand: [{ instances: WISHES, resources: requestsOf(i) }] }),
    });
    if (accepts(i) && !inGangs(i)) world.task(`t${i}-0`, `f${i}`, requestsOf(i), { instances: WISHES * CYCLES });
  }
  fillHall(world);
  const { seconds, details } = cycles(world);
  if (!((world.broker.queueView("hall")?.held.cpu ?? 0) > 0))
    throw new Error("no room is held for the gang that waits");
  return {
    name: "broker_full_cycle_s",
    value: median(seconds.slice(MEASURED_FROM)),
    unit: "s",
    target: "≤ 0.3",
    details: { worst: Math.max(...seconds.slice(MEASURED_FROM)), ...details },
  };
}

/** Declines every node of one part of the cluster, each as a whole: such a filter stands, for more will never be free there. */
function refuseBlock(world: World, i: number): void {
  const whole = { cpu: MILLICORES, memory: GIB, pods: 1 };
  const block = `${i % BLOCKS}`;
  const demand = [{ instances: Math.ceil(NODES / BLOCKS), resources: whole }];
  world.framework(`f${i}`, { queues: [{ name: "hall", weight: 1 }], constraints: { nodeSelector: { block } }, demand });
  for (const offer of offersOf(world.tick())) world.answer(offer, { decision: "Decline", refuseMs: 3_600_000 });
}

/** 100 nodes, on half of which something small runs for ever: the gang that wants 60 of them whole waits. */
function fillHall(world: World): void {
  world.framework("hall", { scheduler: "Builtin", placement: "Spread", queues: [{ name: "hall", weight: 1 }] });
  const constraints = { nodeSelector: { hall: "true" } };
  const small = { cpu: 100, memory: GIB, pods: 1 };
  world.task("small", "hall", small, { instances: HALL / 2, constraints, priority: 1 });
  const whole = { cpu: MILLICORES, memory: GIB, pods: 1 };
  world.task("whole", "hall", whole, { instances: 0.6 * HALL, gang: { minimum: 0.6 * HALL }, constraints });
}

const requestsOf = (i: number) => ({ cpu: 1_000 + i, memory: GIB, pods: 1 });
const accepts = (i: number) => i % 3 === 0;
const inGangs = (i: number) => i % 2 === 0;

/** 8 queues, 24 within them, 168 within those: 200. Gives the leaves. */
function queues(world: World): string[] {
  const leaves: string[] = [];
  for (let top = 0; top < 8; top++) {
    world.queue(`q${top}`, { order: ORDERS[top % ORDERS.length]!, weight: 1 + (top % 3) });
    for (let mid = 0; mid < 3; mid++) {
      world.queue(`q${top}-${mid}`, { parent: `q${top}`, order: ORDERS[(top + mid) % ORDERS.length]! });
      for (let leaf = 0; leaf < 7; leaf++) {
        const name = `q${top}-${mid}-${leaf}`;
        const guarantee = leaf % 2 === 0 ? { cpu: 4 * MILLICORES } : {};
        const limit = leaf % 3 === 0 ? { cpu: 2_000 * MILLICORES } : {};
        world.queue(name, { parent: `q${top}-${mid}`, weight: 1 + (leaf % 2), guarantee, limit });
        leaves.push(name);
      }
    }
  }
  return leaves;
}

function cycles(world: World): { seconds: number[]; details: Record<string, number> } {
  const running: { launch: Launch; cycle: number }[] = [];
  const seconds: number[] = [];
  let ended = 0;
  let gangs = 0;
  let declined = 0;
  let filters = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    if (cycle === MEASURED_FROM) filters = world.broker.filters;
    for (let i = 0; i < FRAMEWORKS; i++) {
      if (!accepts(i) || !inGangs(i)) continue;
      world.task(`t${i}-${cycle}`, `f${i}`, requestsOf(i), { instances: WISHES, gang: { minimum: WISHES } });
    }
    const startMs = performance.now();
    for (const offer of offersOf(world.tick())) {
      const i = Number(offer.framework.slice(4));
      if (!accepts(i)) {
        world.answer(offer, { decision: "Decline", refuseMs: 3_600_000 });
        declined++;
        continue;
      }
      const task = `t${i}-${inGangs(i) ? cycle : 0}`;
      let wanted = WISHES;
      const launches = offer.slices.flatMap(({ name, resources }) => {
        const count = Math.min(wanted, Math.floor((resources.cpu ?? 0) / requestsOf(i).cpu));
        wanted -= count;
        return count > 0 ? [{ task, slice: name, count }] : [];
      });
      const launched = launchesOf(world.answer(offer, { decision: "Accept", launches }));
      if (inGangs(i) && launched.length === WISHES) gangs++;
      for (const launch of launched) running.push({ launch, cycle });
    }
    seconds.push((performance.now() - startMs) / 1_000);
    for (const { launch, cycle: of } of running) {
      if (of === cycle) world.pod(launch, requestsOf(Number(launch.framework.slice(4))), "Running");
    }
    for (; ended < running.length && running[ended]!.cycle < cycle - 1; ended++) {
      const { launch } = running[ended]!;
      world.pod(launch, requestsOf(Number(launch.framework.slice(4))), "Succeeded");
    }
  }
  if (filters < FILTERS) throw new Error(`${filters} filters are in force, there are to be ${FILTERS}`);
  return { seconds, details: { gangs, declined, filters, launched: running.length } };
}

if (import.meta.main) console.log(JSON.stringify(fullCycleFigure()));
