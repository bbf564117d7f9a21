/** What the operator says of itself, asked over HTTP as anybody may who has the rights: `/explain` and `/metrics`. */

export interface FrameworkReading {
  readonly queue: string;
  /** Dominant share, 0 to 1. */
  readonly share: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly offers: Readonly<Record<string, number>>;
  readonly why: { readonly reason: string; readonly message: string };
}

/** Samples of a metrics page by name: labels and value. */
export type Metrics = ReadonlyMap<string, readonly { readonly labels: Labels; readonly value: number }[]>;
type Labels = Readonly<Record<string, string>>;

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, { labels: Labels; value: number }[]>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, key = "", quoted = ""]) => [key, quoted.replace(/\\(.)/g, "$1")]);
    const samples = metrics.get(name) ?? [];
    samples.push({ labels: Object.fromEntries(pairs), value: Number(value) });
    metrics.set(name, samples);
  }
  return metrics;
}

/** The sum of the samples with these labels. */
export function sampleSum(metrics: Metrics, name: string, labels: Labels = {}): number {
  const matching = (metrics.get(name) ?? []).filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return matching.reduce((sum, { value }) => sum + value, 0);
}

/** Counters that begin anew with each leader's term, added up over terms. */
export class Totals {
  readonly #counters = new Map<string, { earlier: number; last: number }>();

  /** @param value of the counter now; less than before means that it began anew @returns the total */
  add(name: string, value: number): number {
    const counter = this.#counters.get(name) ?? { earlier: 0, last: 0 };
    if (value < counter.last) counter.earlier += counter.last;
    counter.last = value;
    this.#counters.set(name, counter);
    return counter.earlier + value;
  }
}

/** Asks one operator. An answer that does not come is undefined: the next one will. */
export class Readings {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  async framework(namespace: string, name: string): Promise<FrameworkReading | undefined> {
    const text = await this.#get(`/explain/framework/${namespace}/${name}`);
    if (text === undefined) return undefined;
    const { queue, dominantShare, counts, offers, why } = JSON.parse(text);
    return { queue, share: dominantShare, counts, offers, why };
  }

  async metrics(): Promise<Metrics | undefined> {
    const text = await this.#get("/metrics");
    return text === undefined ? undefined : parseMetrics(text);
  }

  async #get(path: string): Promise<string | undefined> {
    try {
      const answer = await fetch(`${this.#url}${path}`, {
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: path === "/metrics" ? "text/plain" : "application/json",
        },
        signal: AbortSignal.timeout(5_000),
      });
      return answer.ok ? await answer.text() : undefined;
    } catch {
      return undefined;
    }
  }
}
