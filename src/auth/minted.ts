// Tokens that `leasehold token create` made.
// Not responsible for making or storing them (`vault/`). Invariant: the tenant of the stored record decides; what is found is found by
// the SHA-256 of the whole token, so no comparison can be timed.
import { hash } from 'node:crypto';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import type { TokenRecord, TokenStore } from '../vault/stores.ts';
import { ALL_SCOPES } from './policy.ts';
import type { Principal } from './principal.ts';
import { withImplied } from './scopes.ts';
import { type Found, tokenRefused, type TokenSource, type Verdict } from './verdict.ts';

/** Issuer of the tokens that are minted here. */
export const OWN_ISSUER = 'leasehold';

const OFF: Found = { verify: () => tokenRefused('minted tokens are switched off for this tenant'), goodMs: 0, badMs: 0 };

export interface MintedOptions {
  readonly tokens: Pick<TokenStore, 'find' | 'used'>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export function mintedTokens({ tokens, now }: MintedOptions): TokenSource {
  // The store gives the same record object as long as nothing changed, so the principal lives and ends with it.
  const known = new WeakMap<TokenRecord, { readonly principal: Principal; readonly auth: CompiledAuth }>();

  const found: Found = {
    goodMs: 0,
    badMs: 0,
    verify(token, tenant): Verdict {
      const record = tokens.find(hash('sha256', token));
      if (record === undefined) return tokenRefused('the token is unknown');
      if (record.tenant !== tenant.id) return tokenRefused(`token ${record.id} is of another tenant`);
      const at = now();
      if (record.revokedAt !== undefined && record.revokedAt <= at) return tokenRefused(`token ${record.id} is revoked`);
      if (record.expiresAt !== undefined && record.expiresAt <= at) return tokenRefused(`token ${record.id} has expired`);
      tokens.used(record, at);
      const kept = known.get(record);
      if (kept?.auth === tenant.auth) return kept.principal;
      const principal = principalOf(record, tenant.auth);
      known.set(record, { principal, auth: tenant.auth });
      return principal;
    },
  };
  return {
    find: (form, { auth }) => (form.kind !== 'minted' ? undefined : auth.tokens ? found : OFF),
    servers: () => [],
    hint: (form) => (form.kind === 'minted' ? form.tenant : undefined),
  };
}

function principalOf(record: TokenRecord, auth: CompiledAuth): Principal {
  return Object.freeze({
    tenant: record.tenant,
    issuer: OWN_ISSUER,
    subject: record.subject,
    scopes: record.scopes.length === 0 ? new Set([ALL_SCOPES]) : withImplied(record.scopes, auth.implied),
    credentialId: record.id,
    ...(record.expiresAt === undefined ? {} : { expiresAt: record.expiresAt }),
  });
}
