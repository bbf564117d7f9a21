import type { Broker } from "../offers/broker.ts";

/** As much of the broker as the shell uses; tests put scripted ones in its place. */
export type BrokerContract = Pick<
  Broker,
  | "apply"
  | "nextTickMs"
  | "taskView"
  | "pendingOf"
  | "explainTask"
  | "outlookOfTask"
  | "shapeOf"
  | "frameworkView"
  | "queueView"
  | "frameworks"
  | "queues"
  | "clusterView"
  | "drainEndedOffers"
>;
