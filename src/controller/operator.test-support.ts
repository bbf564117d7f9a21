import type { Effect } from "../offers/messages.ts";
import { FakeKube } from "./fake-kube.test-support.ts";
import { FakeClock } from "./kube/clock.test-support.ts";
import {
  frameworkObject,
  nodeObject,
  offerObject,
  podObject,
  queueObject,
  taskObject,
  taskUid,
} from "./objects.test-support.ts";
import { Operator } from "./operator.ts";
import { ScriptedBroker } from "./scripted-broker.test-support.ts";
import { noLogger, noTelemetry } from "./telemetry.ts";
import { World } from "./world.ts";

/** A launch of the first instance. */
export const create: Extract<Effect, { type: "create-pod" }> = {
  type: "create-pod",
  attempt: { taskUid, index: 0, attempt: 0 },
  node: "n1",
  queue: "default",
  framework: "ns/fw",
};
const worlds: World[] = [];

/** Ends what the tests began. */
export function stopWorlds(): void {
  for (const world of worlds.splice(0)) world.stop();
}

/** An operator over a fake API server, with brokers that do as the test says. */
export function setUp({
  requireAdmissionPolicy = false,
  react = (_: ScriptedBroker) => {},
  logged = [] as string[],
} = {}) {
  const kube = new FakeKube();
  const clock = new FakeClock();
  const brokers: ScriptedBroker[] = [];
  const say = (_: object, message: string) => logged.push(message);
  const log = { ...noLogger, warn: say, error: say, fatal: say };
  const random = () => 0;
  const world = new World({ transport: kube, client: kube.client, clock, random, log, nodes: { selector: {} } });
  worlds.push(world);
  void world.run();
  const leads = { now: true };
  const operator = new Operator({
    world,
    client: kube.client,
    clock,
    random,
    log,
    telemetry: noTelemetry,
    createBroker: (term) => {
      const broker = new ScriptedBroker(term);
      react(broker);
      brokers.push(broker);
      return broker;
    },
    tell: () => {},
    settings: { namespace: "proffer", requireAdmissionPolicy, nodeSettleMs: 5_000 },
  });
  const lead = async (term = "7") => {
    leads.now = true;
    operator.acquired(term, () => leads.now);
    await clock.advance(1_000);
  };
  const lose = () => {
    leads.now = false;
    operator.lost("expired");
  };
  const broker = () => brokers.at(-1)!;
  return { kube, clock, world, operator, brokers, broker, lead, lose, leads, logged };
}

/** One object of each kind. */
export function fill(kube: FakeKube): void {
  kube.put("nodes", nodeObject("n1"));
  kube.put("queues", queueObject("default", { namespaces: ["*"] }));
  kube.put("frameworks", frameworkObject({ taskDefaults: { priority: 7 } }));
  kube.put("tasks", taskObject());
  kube.put("pods", podObject({ metadata: { resourceVersion: undefined } }));
  kube.put("offers", offerObject());
}
