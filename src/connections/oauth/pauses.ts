// Failed token requests: who asks again too soon gets the same answer without a request.
// Not responsible for what failed. State of this process only: another one finds out for itself.
// Invariant: a pause doubles with each failure in a row and ends by itself; at most 10,000 are kept.
import type { Failure } from '../../shared/errors.ts';

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
const KEPT = 10_000;

interface Pause {
  readonly until: number;
  readonly failures: number;
  readonly failure: Failure;
}

export class Pauses {
  readonly #now: () => number;
  readonly #known = new Map<string, Pause>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get(id: string): Failure | undefined {
    const known = this.#known.get(id);
    const left = known === undefined ? 0 : known.until - this.#now();
    if (known === undefined || left <= 0) return undefined;
    return known.failure.retryAfterMs === undefined ? known.failure : { ...known.failure, retryAfterMs: Math.ceil(left) };
  }

  /** @param asked milliseconds that the server asked for: never undercut */
  note(id: string, asked: number | undefined, make: (waitMs: number) => Failure): Failure {
    // Callers who shared one request fail together, and count once.
    const running = this.get(id);
    if (running !== undefined) return running;
    const failures = (this.#known.get(id)?.failures ?? 0) + 1;
    const wait = Math.max(Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS), asked ?? 0);
    const failure = make(wait);
    this.#known.delete(id);
    this.#known.set(id, { until: this.#now() + wait, failures, failure });
    if (this.#known.size > KEPT) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    return failure;
  }

  clear(id: string): void {
    this.#known.delete(id);
  }
}
