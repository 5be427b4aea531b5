// How many requests a subject may begin in a second, as the limits of its tenant say.
// Not responsible for calls of the whole tenant (`tenants/admission`). Invariant: one bucket per (tenant, issuer, subject), whatever number of
// tokens it has; costs nothing where there is no limit.
import { ownerKey, type Principal } from '../../auth/principal.ts';
import { Buckets } from './buckets.ts';

const SUBJECTS = 20_000;

export class SubjectGate {
  readonly #buckets = new Buckets(SUBJECTS);
  readonly #keys = new WeakMap<Principal, string>();

  /** Milliseconds to wait, or 0. @param perSecond 0: no limit; as many may come at once */
  take(principal: Principal, perSecond: number): number {
    if (perSecond === 0) return 0;
    let key = this.#keys.get(principal);
    if (key === undefined) this.#keys.set(principal, (key = ownerKey(principal)));
    return this.#buckets.take(key, perSecond, perSecond);
  }
}
