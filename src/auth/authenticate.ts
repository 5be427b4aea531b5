// From an `Authorization` header to a principal of one tenant, or to a refusal.
// Not responsible for finding the tenant candidate (path, host) or for what the principal may do (`policy`).
// Invariant: the tenant of the verified record decides; a candidate that differs is refused, and a foreign, an unknown and a
// revoked token cannot be told apart from outside. Whatever is thrown here is a refusal.
import { hash } from 'node:crypto';
import type { FailureCode } from '../shared/errors.ts';
import type { TokenRecord, TokenStore } from '../vault/stores.ts';
import { readBearer } from './bearer.ts';
import { credentialsNeeded, tokenRefused } from './challenge.ts';
import { ALL_SCOPES } from './policy.ts';
import type { Principal } from './principal.ts';

export interface AuthDenial {
  readonly code: FailureCode;
  /** Exact, for the audit: never a part of a token. */
  readonly reason: string;
  /** The `WWW-Authenticate` of the answer. */
  readonly challenge: string;
}

export type Authenticate = (authorization: string | undefined, tenant: string) => Principal | AuthDenial;

export interface AuthenticatorOptions {
  readonly tokens: Pick<TokenStore, 'find'>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Issuer of the tokens that are minted here. */
export const OWN_ISSUER = 'leasehold';

function refused(tenant: string, reason: string): AuthDenial {
  return { code: 'token_invalid', reason, challenge: tokenRefused(tenant) };
}

function principalOf(record: TokenRecord): Principal {
  return Object.freeze({
    tenant: record.tenant,
    issuer: OWN_ISSUER,
    subject: record.subject,
    scopes: new Set(record.scopes.length === 0 ? [ALL_SCOPES] : record.scopes),
    credentialId: record.id,
  });
}

export function createAuthenticator({ tokens, now = Date.now }: AuthenticatorOptions): Authenticate {
  // The store gives the same record object as long as nothing changed, so the principal lives and ends with it.
  const principals = new WeakMap<TokenRecord, Principal>();

  function verify(token: string, tenant: string): Principal | AuthDenial {
    const record = tokens.find(hash('sha256', token, 'buffer'));
    if (record === undefined) return refused(tenant, 'the token is unknown');
    if (record.tenant !== tenant) return refused(tenant, `token ${record.id} is of another tenant`);
    if (record.revokedAt !== undefined && record.revokedAt <= now()) return refused(tenant, `token ${record.id} is revoked`);
    let principal = principals.get(record);
    if (principal === undefined) principals.set(record, (principal = principalOf(record)));
    return principal;
  }

  return (authorization, tenant) => {
    try {
      const bearer = readBearer(authorization);
      switch (bearer.kind) {
        case 'none':
          return { code: 'unauthenticated', reason: 'there is no bearer token', challenge: credentialsNeeded(tenant) };
        case 'malformed':
          return refused(tenant, bearer.reason);
        case 'token':
          return verify(bearer.token, tenant);
        default:
          return bearer satisfies never;
      }
    } catch (cause) {
      return refused(tenant, `authentication failed (${cause instanceof Error ? cause.name : 'unknown'})`);
    }
  };
}
