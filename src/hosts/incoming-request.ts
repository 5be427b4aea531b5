// A long body of a request of tool code: collected whole, within a limit, credited as it comes.
// Not responsible for answering (`host-link` hands the whole on). Invariant: beyond the limit nothing is kept.

export class IncomingRequest {
  readonly #parts: Uint8Array[] = [];
  readonly #maxBytes: number;
  readonly #done: (body: Uint8Array | undefined) => void;
  #bytes = 0;

  /** `done` is told the body, or nothing where it was larger than allowed. */
  constructor(maxBytes: number, done: (body: Uint8Array | undefined) => void) {
    this.#maxBytes = maxBytes;
    this.#done = done;
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.#bytes += bytes.byteLength;
    if (this.#bytes > this.#maxBytes) this.#parts.length = 0;
    else this.#parts.push(bytes);
    if (last) this.#done(this.#bytes > this.#maxBytes ? undefined : Buffer.concat(this.#parts));
  }
}
