import { expect, test } from "vitest";
import { QueueTree } from "../queues/queues.ts";
import { ResourceTable } from "../resources.ts";
import { UsageAhead } from "./usage-ahead.ts";

/** `leaf` below `top`, and what each uses of CPU ahead and now. */
function leafBelowTop() {
  const resources = new ResourceTable();
  const tree = new QueueTree(resources);
  const facts = { weight: 1, guarantee: {}, limit: {}, namespaces: ["*"] };
  tree.observe({ ...facts, name: "top" });
  tree.observe({ ...facts, name: "leaf", parent: "top" });
  const claimant = tree.claimant("ns/f", "leaf");
  const [top, leaf] = [tree.queues.get("top")!, tree.queues.get("leaf")!];
  const cpu = (amount: number) => resources.vector({ cpu: amount });
  claimant.held("task", cpu(5), 1, 1);
  const ahead = new UsageAhead(tree);
  const used = () => [leaf, top].map((queue) => ahead.usage(queue)[0]);
  const attempt = (amount: number, stands: boolean) =>
    ahead.attempt(() => {
      ahead.shift(leaf, cpu(Math.abs(amount)), amount > 0 ? 1 : -1);
      return stands;
    });
  return { attempt, ahead, leaf, top, cpu, used, claimant };
}

test("what comes and goes counts in the queue and all above it, and in none of them now", () => {
  const { ahead, leaf, top, cpu, used } = leafBelowTop();
  ahead.shift(leaf, cpu(3), 1);
  ahead.shift(top, cpu(2), -1);
  expect(used()).toEqual([8, 6]);
  expect([leaf.usage[0], top.usage[0]]).toEqual([5, 5]);
});

test("an attempt that stands, stands; one in vain leaves all as it was", () => {
  const { ahead, attempt, leaf, cpu, used } = leafBelowTop();
  expect(attempt(-1, true)).toBe(true);
  expect(used()).toEqual([4, 4]);
  const inVain = () => {
    ahead.shift(leaf, cpu(3), -1);
    ahead.shift(leaf, cpu(1), 1);
    expect(used()).toEqual([2, 2]);
    return false;
  };
  expect(ahead.attempt(inVain)).toBe(false);
  expect(used()).toEqual([4, 4]);
});

test("what becomes of claims later is not seen", () => {
  const { cpu, used, claimant } = leafBelowTop();
  claimant.held("task", cpu(2), 1, 1);
  expect(used()).toEqual([5, 5]);
});
