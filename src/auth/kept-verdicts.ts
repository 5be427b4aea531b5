// What was found out about tokens a short time ago, so that a caller's next request costs a hash and a look-up.
// Not responsible for finding out (`authenticate`). Invariant: kept per tenant, by the hash of the token, for the configuration that it
// was proved with, never beyond the token's own end; bounded, and what is refused cannot push out what is good.
import type { CompiledAuth } from '../config/compiled-auth.ts';
import { type Found, isDenial, type Verdict } from './verdict.ts';

const GOOD = 10_000;
const BAD = 1000;

interface Kept {
  readonly verdict: Verdict;
  readonly auth: CompiledAuth;
  /** Epoch milliseconds. */
  readonly until: number;
}

export class KeptVerdicts {
  readonly #now: () => number;
  readonly #good = new Map<string, Kept>();
  readonly #bad = new Map<string, Kept>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string, auth: CompiledAuth): Verdict | undefined {
    const known = this.#good.get(key) ?? this.#bad.get(key);
    return known !== undefined && known.auth === auth && this.#now() < known.until ? known.verdict : undefined;
  }

  keep(key: string, verdict: Verdict, { goodMs, badMs }: Pick<Found, 'goodMs' | 'badMs'>, auth: CompiledAuth): void {
    this.#good.delete(key);
    this.#bad.delete(key);
    const now = this.#now();
    if (isDenial(verdict)) {
      if (verdict.temporary !== true && badMs > 0) add(this.#bad, BAD, key, { verdict, auth, until: now + badMs });
      return;
    }
    const until = Math.min(now + goodMs, verdict.expiresAt ?? Number.POSITIVE_INFINITY);
    if (until > now) add(this.#good, GOOD, key, { verdict, auth, until });
  }
}

/** The oldest goes first. */
function add(all: Map<string, Kept>, most: number, key: string, kept: Kept): void {
  all.set(key, kept);
  const oldest = all.size > most ? all.keys().next() : undefined;
  if (oldest?.done === false) all.delete(oldest.value);
}
