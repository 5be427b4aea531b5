// Token buckets by name: how often something may happen, with room for a burst.
// Not responsible for what is counted. Invariant: bounded memory; whoever was not seen for longest (to the second) is forgotten
// first, and begins full.

interface Bucket {
  left: number;
  /** Milliseconds of a monotonic clock: when it was filled, and when its place in the order of last use was. */
  at: number;
  placedAt: number;
}

/** Taking again sooner than this changes nothing in the order: a place of its own for each would make a new table of names every few. */
const SAME_PLACE_MS = 1000;

export class Buckets {
  readonly #most: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param most names that are kept */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one. 0, or the milliseconds after which there is one again (and nothing was taken). */
  take(name: string, perSecond: number, burst: number): number {
    const bucket = this.#filled(name, perSecond, burst);
    if (bucket.at - bucket.placedAt >= SAME_PLACE_MS) this.#place(name, bucket);
    if (bucket.left < 1) return waitMs(bucket, perSecond);
    bucket.left -= 1;
    return 0;
  }

  /** The same without taking one. */
  wait(name: string, perSecond: number, burst: number): number {
    if (!this.#buckets.has(name)) return 0;
    const bucket = this.#filled(name, perSecond, burst);
    return bucket.left < 1 ? waitMs(bucket, perSecond) : 0;
  }

  /** As the one that was seen last. */
  #place(name: string, bucket: Bucket): void {
    bucket.placedAt = bucket.at;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size <= this.#most) return;
    const oldest = this.#buckets.keys().next();
    if (oldest.done === false) this.#buckets.delete(oldest.value);
  }

  #filled(name: string, perSecond: number, burst: number): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return { left: burst, at: now, placedAt: Number.NEGATIVE_INFINITY };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    return bucket;
  }
}

function waitMs({ left }: Bucket, perSecond: number): number {
  return Math.max(1, Math.ceil(((1 - left) / perSecond) * 1000));
}
