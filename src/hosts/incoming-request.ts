// A long body of a request of tool code: collected whole, within its limit and the room of its pool, credited as it comes.
// Not responsible for answering (`host-link` hands the whole on). Invariant: beyond either bound nothing is kept.
import type { HeldRequests } from './held-requests.ts';

export type Collected = Uint8Array | 'too_large' | 'no_room';

export class IncomingRequest {
  readonly #request: number;
  readonly #held: HeldRequests;
  readonly #maxBytes: number;
  readonly #done: (collected: Collected) => void;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;
  #full = false;

  /** `done` is told once, when the body has ended, however much of it was kept. */
  constructor(request: number, held: HeldRequests, maxBytes: number, done: (collected: Collected) => void) {
    this.#request = request;
    this.#held = held;
    this.#maxBytes = maxBytes;
    this.#done = done;
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#bytes += bytes.byteLength;
    if (!this.#full) this.#keep(bytes);
    if (!last) return;
    if (this.#bytes > this.#maxBytes) this.#done('too_large');
    else this.#done(this.#full ? 'no_room' : Buffer.concat(this.#parts));
  }

  #keep(bytes: Uint8Array): void {
    if (this.#bytes <= this.#maxBytes && this.#held.take(this.#request, bytes.byteLength)) {
      if (bytes.byteLength > 0) this.#parts.push(bytes);
      return;
    }
    this.#full = true;
    this.#parts.length = 0;
    this.#held.give(this.#request);
  }
}
