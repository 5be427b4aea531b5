// Which tenant a request names, and whether that agrees with the verified identity (G1). Pure.
// Not responsible for authentication: `disagreement` compares, it never decides who calls.
// Invariant: there is no default tenant and no normalization; two names that differ are a refusal, not a choice; what a token names of
// itself only says against whom it is verified.
import type { Principal } from '../auth/principal.ts';
import { isTenantId } from '../shared/ids.ts';

/** Every place of a request that may name a tenant, as sent; undefined where it does not, or where the operator did not allow it. */
export interface TenantNames {
  readonly path: string | undefined;
  readonly host?: string | undefined;
  readonly header?: string | undefined;
  /** What an unverified token says of itself. */
  readonly token?: string | undefined;
}

export type Named =
  | { readonly kind: 'one'; readonly tenant: string }
  | { readonly kind: 'none' }
  /** `tenant`: the first that was named, for the audit. */
  | { readonly kind: 'refused'; readonly tenant: string; readonly reason: string };

const NONE: Named = { kind: 'none' };
const ORDER = ['path', 'host', 'header', 'token'] as const;

/** The one tenant that the request names, before anybody is verified. */
export function candidate(names: TenantNames): Named {
  let first: (typeof ORDER)[number] | undefined;
  let tenant = '';
  for (const place of ORDER) {
    const name = names[place];
    if (name === undefined) continue;
    if (!isTenantId(name)) return { kind: 'refused', tenant, reason: `the ${place} names something that is no tenant id` };
    if (first === undefined) [first, tenant] = [place, name];
    else if (name !== tenant) return { kind: 'refused', tenant, reason: `the ${first} and the ${place} name different tenants` };
  }
  return first === undefined ? NONE : { kind: 'one', tenant };
}

/** Why the verified identity may not act for the tenant that the request names: for the audit. */
export function disagreement(tenant: string, principal: Principal): string | undefined {
  return principal.tenant === tenant ? undefined : 'the token is of another tenant';
}
