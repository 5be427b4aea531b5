// The breakers of all upstreams, one per (tenant, origin): the state around the pure `breaker`.
// Not responsible for the verdicts (`egress-call`).
// Invariant: one tenant's failures never close another's way; only upstreams in trouble take memory, at most 10,000 of them.
import { admit, type Admission, type BreakerState, CLOSED, type Pass, settle, type Verdict } from './breaker.ts';

const KEPT = 10_000;

export class Breakers {
  #states = new Map<string, BreakerState>();
  #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  admit(tenant: string, origin: string): Admission {
    const key = keyOf(tenant, origin);
    const admission = admit(this.#states.get(key) ?? CLOSED, this.#now());
    if (admission.pass === 'probe') this.#keep(key, admission.state);
    return admission;
  }

  settle(tenant: string, origin: string, pass: Pass, verdict: Verdict): void {
    const key = keyOf(tenant, origin);
    const before = this.#states.get(key);
    if (before === undefined && verdict !== 'failure') return;
    this.#keep(key, settle(before ?? CLOSED, pass, verdict, this.#now()));
  }

  #keep(key: string, state: BreakerState): void {
    this.#states.delete(key);
    if (state === CLOSED) return;
    this.#states.set(key, state);
    if (this.#states.size <= KEPT) return;
    const oldest = this.#states.keys().next();
    if (!oldest.done) this.#states.delete(oldest.value);
  }
}

/** A tenant id has no space in it. */
function keyOf(tenant: string, origin: string): string {
  return `${tenant} ${origin}`;
}
