// Which tenant a request names, and whether that agrees with the verified identity (G1). Pure.
// Not responsible for authentication: `disagreement` compares, it never decides who calls.
// Invariant: there is no default tenant and no normalization; two names that differ are a refusal, not a choice.
import type { Principal } from '../auth/principal.ts';
import { isTenantId } from '../shared/ids.ts';

/** Every place of a request that may name a tenant; undefined where it does not. */
export interface TenantNames {
  readonly path: string | undefined;
}

/** The one tenant that the request names, before anybody is verified. */
export function candidate({ path }: TenantNames): string | undefined {
  return path !== undefined && isTenantId(path) ? path : undefined;
}

/** Why the verified identity may not act for the tenant that the request names: for the audit. */
export function disagreement(tenant: string, principal: Principal): string | undefined {
  return principal.tenant === tenant ? undefined : 'the token is of another tenant';
}
