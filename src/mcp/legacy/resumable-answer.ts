// The answer of one request of a session: where it streams, its events have ids, and a client whose connection broke can take it up
// again with another one (2025-11-25, "Resumability and Redelivery").
// Not responsible for the store's bounds or for finding the stream of an id (`streams`).
// Invariant: a broken connection cancels nothing; each message goes to one connection; an answer that never streamed leaves no trace.
import { type Answer, type Message, text } from '../answer.ts';
import { type EventStore, eventId, type Position } from './event-store.ts';

/** When a client should come back, milliseconds. */
export const RETRY_MS = 1000;

export interface Resumable {
  readonly stream: number;
  readonly store: EventStore;
  /** The revision has events that are empty (since 2025-11-25; older clients fail on them). */
  readonly priming: boolean;
  /** The answer where a result is too large to be kept for a client that is away. */
  tooLarge(): Message;
  ended(stream: number): void;
}

export class ResumableAnswer implements Answer {
  readonly streams: boolean;
  readonly #of: Resumable;
  #carrier: Answer;
  #controller: AbortController | undefined;
  #began = false;
  #done = false;

  constructor(carrier: Answer, of: Resumable) {
    this.#carrier = carrier;
    this.streams = carrier.streams;
    this.#of = of;
  }

  /** Aborts when the session ends under the request, not when a connection does. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  get gone(): boolean {
    return this.#carrier.gone;
  }

  notify(message: string): void {
    if (this.#done) return;
    const { priming, store, stream } = this.#of;
    if (!this.#began) {
      this.#began = true;
      if (priming) this.#carrier.prime(eventId(store.mark(stream)), RETRY_MS);
    }
    this.#carrier.notify(message, eventId(store.push(stream, message)));
  }

  send(status: number, message: Message, headers?: readonly string[]): void {
    if (this.#done || !this.#began) {
      this.#finish();
      this.#carrier.send(status, message, headers);
      return;
    }
    this.#done = true;
    const { head, body, tail } = message;
    if (body === undefined || body instanceof Uint8Array)
      this.#last(body === undefined ? message : text(head + utf8(body) + tail));
    else if (!this.#carrier.gone) {
      // Large: it is sent once, and not kept.
      this.#carrier.send(status, message, headers);
      this.#finish();
    } else {
      body.cancel();
      this.#last(this.#of.tooLarge());
    }
  }

  prime(): void {}

  open(): void {
    this.#carrier.open();
  }

  empty(status: 202 | 204): void {
    this.#finish();
    this.#carrier.empty(status);
  }

  abandon(): void {
    this.#finish();
    this.#carrier.abandon();
  }

  /** The session ended. */
  end(): void {
    this.#controller?.abort();
    this.abandon();
  }

  /** Goes on over another connection, from what came behind `position`. */
  resume(carrier: Answer, position: Position): void {
    this.#carrier.abandon();
    this.#carrier = carrier;
    carrier.open();
    for (const event of this.#of.store.after(position)) carrier.notify(event.message, eventId(event));
  }

  #last(message: Message): void {
    // A body is a host's: no byte of it may begin a line of the stream.
    const line = (message.head + message.tail).replaceAll(/[\r\n]/g, ' ');
    this.#carrier.send(200, text(line), undefined, eventId(this.#of.store.push(this.#of.stream, line)));
    this.#finish();
  }

  #finish(): void {
    this.#done = true;
    this.#of.ended(this.#of.stream);
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
