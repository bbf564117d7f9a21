import type { FrameworkFacts, TaskFacts } from "../offers/messages.ts";
import type { Cluster } from "./cluster.ts";
import type { Random } from "./random.ts";

/** What of a Task says that its instances start together. */
export type Together = Pick<TaskFacts, "gang" | "group" | "instances">;

/** The Tasks to make at once: mostly one on its own, sometimes a gang, sometimes the two or three of a group. */
export function together(random: Random, group: string): readonly Together[] {
  const alone = { instances: random.between(1, 6) };
  if (random.chance(0.65)) return [alone];
  if (random.chance(0.6)) return [gangOf(random)];
  const size = random.between(2, 3);
  return Array.from({ length: size }, () => ({
    ...(random.chance(0.5) ? gangOf(random) : { instances: random.between(1, 3) }),
    group: { name: group, size },
  }));
}

function gangOf(random: Random): Together {
  const instances = random.between(2, 6);
  return { instances, gang: { minimum: random.between(2, instances) } };
}

/** So many of a Task's instances start together: what `parallelism` may not be below, but for 0. */
export function minimumOf({ gang, group, instances }: Together): number {
  return gang?.minimum ?? (group === undefined ? 1 : instances);
}

/** A framework that answers chooses the nodes: our answerers do not spread more than one at a time. */
export function canAnswer(task: TaskFacts, { scheduler }: FrameworkFacts): TaskFacts {
  const alone = task.group === undefined && minimumOf(task) === 1;
  if (scheduler === "Builtin" || alone || task.constraints?.spread === undefined) return task;
  const { spread: _, ...constraints } = task.constraints;
  return { ...task, constraints };
}

/** Groups of which Tasks are missing, and that have not started: they never will. */
export function brokenGroups({ tasks }: Cluster): TaskFacts[] {
  const all = [...tasks.values()];
  return all.flatMap(({ facts }) => {
    const { group, framework } = facts;
    if (group === undefined) return [];
    const members = all.filter(({ facts: other }) => {
      return (
        other.group?.name === group.name && other.framework === framework && !other.deleting && other.kill === undefined
      );
    });
    return members.length < group.size ? [facts] : [];
  });
}
