import fc from "fast-check";
import { expect, test } from "vitest";
import type { Line } from "../lines.ts";
import { State } from "../state.ts";
import { Room } from "./room.ts";

const cpus = fc.integer({ min: 1, max: 4 });
/** Queue "top" over "left" and "right": what each is guaranteed, and who wants how many instances of which size. */
const site = fc.record({
  guarantees: fc.record({ top: fc.nat(20), left: fc.nat(12), right: fc.nat(12) }),
  wishes: fc.array(
    fc.record({
      queue: fc.constantFrom("left", "right"),
      framework: fc.constantFrom("f", "g"),
      cpu: cpus,
      instances: cpus,
    }),
    { minLength: 1, maxLength: 8 },
  ),
  grants: fc.array(fc.nat(), { maxLength: 30 }),
});

function stateOf({ guarantees }: { guarantees: Record<string, number> }): State {
  const state = new State({ term: "1", placements: {} });
  for (const [name, cpu] of Object.entries(guarantees)) {
    const parent = name === "top" ? {} : { parent: "top" };
    state.tree.observe({ name, ...parent, weight: 1, guarantee: cpu > 0 ? { cpu } : {}, limit: {}, namespaces: ["*"] });
  }
  const node = { name: "n", uid: "n", allocatable: { cpu: 99 }, labels: {}, taints: [], ready: true };
  state.nodes.observe(node, 0);
  return state;
}

function lineOf(state: State, queue: string, framework: string, cpu: number, instances: number): Line {
  const shape = state.shapes.use(state.resources.known({ cpu }), {}, { task: "", framework });
  const line = state.lines.line(state.tree.claimant(framework, queue), shape);
  line.stated += instances;
  return line;
}

function keptBy(room: Room, state: State): Record<string, number[] | undefined> {
  return Object.fromEntries(
    [...state.tree.queues.values()].map((queue) => {
      const kept = room.keptBy(queue);
      return [queue.name, kept?.some((amount) => amount > 0) ? [...kept] : undefined];
    }),
  );
}

test("what is kept back after each grant is what is kept back when it is reckoned anew", () => {
  fc.assert(
    fc.property(site, ({ guarantees, wishes, grants }) => {
      const state = stateOf({ guarantees });
      const lines = wishes.map(({ queue, framework, cpu, instances }) =>
        lineOf(state, queue, framework, cpu, instances),
      );
      const always = () => true;
      const room = new Room(state.tree, state.lines, state.nodes, always);
      room.refresh();
      for (const grant of grants) {
        const line = lines[grant % lines.length]!;
        if (line.outstanding === line.pending) continue;
        line.outstanding++;
        line.claimant.held("offer", line.request, 1, 1);
        room.granted(line);
        const anew = new Room(state.tree, state.lines, state.nodes, always);
        anew.refresh();
        expect(keptBy(room, state)).toEqual(keptBy(anew, state));
      }
    }),
  );
});
