// What the bodies of one call's requests take of its pool's room: from their first byte here until the answer.
// Not responsible for the bodies themselves (`incoming-request`, then the sink of the call).
// Invariant: over all calls of a pool never more than the room; what a call took is given back when it ends, at the latest.
import { MAX_BODY_BYTES } from '../boundary/frame-codec.ts';

/** So many requests of the largest size may be under way in one pool. */
const LARGEST_REQUESTS = 32;

/** What all calls of one pool have taken together. */
export class RequestRoom {
  taken = 0;
}

export class HeldRequests {
  /** Of the whole pool: all its calls have the same limits. */
  readonly limit: number;
  readonly #room: RequestRoom;
  /** By number of the request. Most calls ask nothing. */
  #held: Map<number, number> | undefined;

  constructor(room: RequestRoom, maxRequestBytes: number) {
    this.#room = room;
    // A body of one frame is let through whatever the limit of the tenant.
    this.limit = LARGEST_REQUESTS * Math.max(maxRequestBytes, MAX_BODY_BYTES);
  }

  has(request: number): boolean {
    return this.#held?.has(request) === true;
  }

  /** False, and nothing is taken, where the room is used up. */
  take(request: number, bytes: number): boolean {
    if (bytes === 0) return true;
    if (this.#room.taken + bytes > this.limit) return false;
    this.#room.taken += bytes;
    this.#held ??= new Map();
    this.#held.set(request, (this.#held.get(request) ?? 0) + bytes);
    return true;
  }

  give(request: number): void {
    const bytes = this.#held?.get(request);
    if (bytes === undefined) return;
    this.#held?.delete(request);
    this.#room.taken -= bytes;
  }

  giveAll(): void {
    if (this.#held === undefined) return;
    for (const bytes of this.#held.values()) this.#room.taken -= bytes;
    this.#held = undefined;
  }
}
