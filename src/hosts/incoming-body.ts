// A long body on its way from a host: holds what has come, gives it to one reader, and gives the host credit as it is read.
// Not responsible for frames (`host-link`).
// Invariant: never more than the window is held; a body that breaks off is an error to its reader, never a short body.
import { BODY_WINDOW_BYTES, POOL_WINDOW_BYTES, type PoolWindow } from '../boundary/body-sender.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { BodyLost } from './pool-errors.ts';
import type { BodyStream } from './pool.ts';

/** What a body tells of its reader. */
export interface BodyOwner {
  taken(bytes: number): void;
  /** The reader wants no more; nothing is told after this. */
  cancelled(): void;
}

type State = 'arriving' | 'whole' | 'lost' | 'cancelled';

export class IncomingBody implements BodyStream, AsyncIterableIterator<Uint8Array> {
  readonly #owner: BodyOwner;
  readonly #window: PoolWindow;
  readonly #maxBytes: number;
  readonly #queue: Uint8Array[] = [];
  #state: State = 'arriving';
  #held = 0;
  #total = 0;
  #why: Failure | undefined;
  #wake: (() => void) | undefined;

  /** More than `maxBytes` altogether is a fault of the host. */
  constructor(owner: BodyOwner, window: PoolWindow, maxBytes: number) {
    this.#owner = owner;
    this.#window = window;
    this.#maxBytes = maxBytes;
  }

  /** False where the host sent more than it may. */
  push(bytes: Uint8Array, last: boolean): boolean {
    this.#held += bytes.byteLength;
    this.#total += bytes.byteLength;
    this.#window.outstanding += bytes.byteLength;
    if (this.#held > BODY_WINDOW_BYTES || this.#window.outstanding > POOL_WINDOW_BYTES || this.#total > this.#maxBytes)
      return false;
    if (bytes.byteLength > 0) this.#queue.push(bytes);
    if (last) this.#state = 'whole';
    this.#wake?.();
    return true;
  }

  lose(why: Failure): void {
    if (this.#state !== 'arriving') return;
    this.#state = 'lost';
    this.#why = why;
    this.#release();
  }

  cancel(): void {
    if (this.#state === 'cancelled' || this.#state === 'lost') return;
    const over = this.#state === 'whole' && this.#queue.length === 0;
    this.#state = 'cancelled';
    this.#release();
    if (!over) this.#owner.cancelled();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (this.#queue.length === 0 && this.#state === 'arriving') {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#queue.shift();
    if (bytes !== undefined) {
      this.#held -= bytes.byteLength;
      this.#window.outstanding -= bytes.byteLength;
      this.#owner.taken(bytes.byteLength);
      return { done: false, value: bytes };
    }
    if (this.#state === 'lost') throw new BodyLost(this.#why ?? failure('worker_lost'));
    if (this.#state === 'cancelled') throw new BodyLost(failure('cancelled'));
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.cancel();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #release(): void {
    this.#queue.length = 0;
    this.#window.outstanding -= this.#held;
    this.#held = 0;
    this.#wake?.();
  }
}
