import type { Dispatcher } from "undici";
import { TransportError, type TransportErrorKind } from "./api-error.ts";
import type { Clock, TimerHandle } from "./clock.ts";
import { Unpacker } from "./unpacker.ts";

export interface HttpRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
}

export interface ExchangeOptions {
  readonly signal: AbortSignal | undefined;
  /** Until the whole answer is there; of a stream, until its headers are. */
  readonly timeoutMs: number;
  /**
   * Asked when a connection is there and the first byte is about to be written. Anything but undefined stops the
   * request, which then counts as not sent.
   */
  readonly veto: (() => TransportErrorKind | "held" | undefined) | undefined;
  readonly stream: StreamOptions | undefined;
}

export interface StreamOptions {
  /** Gets the body of a 2xx answer as it comes, unpacked, with its content type. */
  readonly onData: (chunk: Buffer, contentType: string) => void;
  /** The longest time without one byte before the peer counts as dead. */
  readonly silenceLimitMs: number;
  /** Gzip was asked for; what is packed is told in larger pieces than it comes. */
  readonly packed?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly retryAfterHeader: string | undefined;
  /** "" where the server named none. */
  readonly contentType: string;
  /** Empty for a 2xx stream, whose body went to `onData`. */
  readonly body: Buffer;
}

/** The veto "held": nothing was sent because the server asked for quiet meanwhile; ask for a slot again. */
export class HeldBack extends Error {}

/**
 * One request and its answer on a connection of `dispatcher`. Below undici's `request`, because only its handler says
 * whether a request was ever written: the difference between "did not happen" and "nobody knows".
 *
 * @returns any whole answer, whatever its status
 * @throws TransportError without an answer; HeldBack by veto
 */
export function exchange(
  dispatcher: Dispatcher,
  request: HttpRequest,
  options: ExchangeOptions,
  clock: Clock,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const handler = new ExchangeHandler(options, clock, resolve, reject);
    try {
      dispatcher.dispatch(
        {
          method: request.method,
          path: request.path,
          headers: request.headers,
          body: request.body ?? null,
          // Own timers run on the injected clock.
          headersTimeout: 0,
          bodyTimeout: 0,
          // Else undici closes the connection after every DELETE that has a body.
          reset: false,
        },
        handler,
      );
    } catch (error) {
      handler.onResponseError(undefined, error as Error);
    }
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #clock: Clock;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: TimerHandle | undefined;
  #sent = false;
  #ended = false;
  #status = 0;
  #retryAfterHeader: string | undefined;
  #contentType = "";
  #chunks: Buffer[] = [];
  #lastByteMs = 0;
  /** Of a stream that comes packed. */
  #unpacker: Unpacker | undefined;

  constructor(
    options: ExchangeOptions,
    clock: Clock,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = clock.setTimeout(
      () => this.#fail("timeout", `no answer in ${options.timeoutMs} ms`),
      options.timeoutMs,
    );
    if (options.signal?.aborted) this.#onAbort();
    else options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) {
      controller.abort(new Error("given up before it was sent"));
      return;
    }
    const veto = this.#options.veto?.();
    if (veto === "held") this.#end(() => this.#reject(new HeldBack()));
    else if (veto !== undefined) this.#fail(veto, "stopped before it was sent");
    else this.#sent = true;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    // Informational answers come before the real one.
    if (status < 200) return;
    this.#status = status;
    const retryAfter = headers["retry-after"];
    this.#retryAfterHeader = typeof retryAfter === "string" ? retryAfter : undefined;
    const contentType = headers["content-type"];
    this.#contentType = typeof contentType === "string" ? contentType : "";
    if (this.#streams() && this.#options.stream) {
      this.#clock.clearTimeout(this.#timer!);
      this.#lastByteMs = this.#clock.monotonicMs();
      this.#watchSilence(this.#options.stream.silenceLimitMs);
      const isPacked = this.#options.stream.packed && headers["content-encoding"] === "gzip";
      if (isPacked) this.#unpacker = this.#unpack(this.#options.stream);
    }
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended) return;
    if (!this.#streams()) {
      this.#chunks.push(chunk);
      return;
    }
    this.#lastByteMs = this.#clock.monotonicMs();
    if (this.#unpacker === undefined) this.#options.stream?.onData(chunk, this.#contentType);
    else if (!this.#unpacker.write(chunk)) this.#controller?.pause();
  }

  onResponseEnd(): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const answer = {
      status: this.#status,
      retryAfterHeader: this.#retryAfterHeader,
      contentType: this.#contentType,
      body,
    };
    // Before anything else: a controller that is gone is not asked to close the connection.
    this.#controller = undefined;
    const settle = (): void => this.#end(() => this.#resolve(answer));
    if (this.#unpacker === undefined) {
      settle();
    } else {
      this.#unpacker.end();
      void this.#unpacker.done.then(settle, () => {});
    }
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
    this.#fail("network", code);
  }

  readonly #onAbort = (): void => this.#fail("aborted", "by the caller");

  #streams(): boolean {
    return this.#options.stream !== undefined && this.#status >= 200 && this.#status < 300;
  }

  #unpack({ onData }: StreamOptions): Unpacker {
    const unpacker = new Unpacker(
      (chunk) => {
        if (!this.#ended) onData(chunk, this.#contentType);
      },
      () => this.#controller?.resume(),
    );
    unpacker.done.catch(() => this.#fail("network", "the answer cannot be unpacked"));
    return unpacker;
  }

  // One timer for a stream, however many chunks come: it looks how long the silence has lasted and waits for the rest.
  #watchSilence(limitMs: number): void {
    const silentMs = this.#clock.monotonicMs() - this.#lastByteMs;
    if (silentMs >= limitMs) this.#fail("timeout", `silent for ${limitMs} ms`);
    else this.#timer = this.#clock.setTimeout(() => this.#watchSilence(limitMs), limitMs - silentMs);
  }

  #fail(kind: TransportErrorKind, detail: string): void {
    // Whether the outcome is unknown depends on the method and earlier attempts: the transport says.
    this.#end(() => this.#reject(new TransportError(kind, detail, this.#sent, false)));
  }

  #end(settle: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#unpacker?.destroy();
    settle();
    // Before the whole answer: this closes the connection.
    this.#controller?.abort(new Error("given up"));
  }
}
