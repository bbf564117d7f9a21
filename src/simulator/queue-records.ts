import type { Broker } from "../offers/broker.ts";
import type { Cluster } from "./cluster.ts";
import type { Network } from "./network.ts";

/** A leader's writes of what it has decided on queues, for whoever leads next. They may be lost, or come late. */
export class QueueRecords {
  readonly #cluster: Cluster;
  readonly #broker: Broker;
  readonly #network: Network;
  readonly #sent = new Map<string, string>();

  constructor(cluster: Cluster, broker: Broker, network: Network) {
    this.#cluster = cluster;
    this.#broker = broker;
    this.#network = network;
  }

  changed(name: string): void {
    const view = this.#broker.queueView(name);
    const createdAtMs = this.#cluster.queues.get(name)?.createdAtMs;
    if (view?.lastGood === undefined || createdAtMs === undefined) return;
    const record = { lastGood: view.lastGood, inForce: view.inForce };
    const text = JSON.stringify([createdAtMs, record]);
    if (this.#sent.get(name) === text) return;
    this.#sent.set(name, text);
    const write = () => {
      this.#cluster.recordQueue(name, createdAtMs, record);
      return {};
    };
    this.#network.send("queue-status", write, () => {});
  }
}
