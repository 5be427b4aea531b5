// A credential as the lease of one request: an id for the audit, what to add, and how long it may leave.
// Not responsible for getting the credential (`static-credential`, `grants`) or for using it (the egress thread).
// Invariant: nothing but what this one request needs crosses; a lease never outlives its credential.
import type { Lease } from '../boundary/egress.ts';
import { newCorrelationId } from '../shared/ids.ts';

/** What a request needs of a credential. */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Epoch milliseconds; absent where it does not expire by itself. */
  readonly expiresAt?: number;
  /** Which credential it is: another one when it was set or refreshed anew. No secret. */
  readonly version: string;
}

/** Longest time from the supervisor to the first byte on the wire. */
export const LEASE_MS = 60_000;

/** @param timeoutMs what is left of the call */
export function leaseOf(credential: Credential, timeoutMs: number, now: number): Lease {
  const { headers, query, expiresAt = Number.POSITIVE_INFINITY } = credential;
  return {
    id: newCorrelationId(now),
    headers,
    ...(query === undefined ? {} : { query }),
    expiresInMs: Math.max(0, Math.floor(Math.min(LEASE_MS, timeoutMs, expiresAt - now))),
  };
}
