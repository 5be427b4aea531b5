// Which tenant a request names, and whether all that name one agree with the verified identity (G1).
// Not responsible for authentication: `confirm` compares, it never decides who calls.
// Invariant: there is no default tenant and no normalization; two names that differ are a refusal, not a choice.
import type { Principal } from '../auth/principal.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { isTenantId } from '../shared/ids.ts';

/** Every place of a request that may name a tenant; absent places are undefined. */
export interface TenantNames {
  readonly path: string | undefined;
}

export type Resolved = { readonly ok: true; readonly tenant: string } | { readonly ok: false; readonly failure: Failure };

function refuse(detail: string): Resolved {
  return { ok: false, failure: failure('tenant_mismatch', { detail }) };
}

/** The one tenant that the request names, before anybody is verified. */
export function candidate(names: TenantNames): Resolved {
  if (names.path === undefined) return refuse('the request names no tenant');
  if (!isTenantId(names.path)) return refuse('the path does not hold a tenant id');
  return { ok: true, tenant: names.path };
}

/** Refuses when the verified identity belongs to another tenant than the request names. */
export function confirm(tenant: string, principal: Principal): Resolved {
  return principal.tenant === tenant ? { ok: true, tenant } : refuse('the credential belongs to another tenant');
}
