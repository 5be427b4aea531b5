// Bearer tokens that are minted here: their form, their hash, and the ones of the demo.
// Not responsible for storing or checking them. Pure but for randomness.
// Invariant: `lh_<tenant>_<43 characters of base64url>`, 256 bits that nobody can guess; shown once, stored as hash only.
import { createHmac, hash, randomBytes } from 'node:crypto';
import { newCorrelationId } from '../shared/ids.ts';
import { deriveKey } from './master-wrap.ts';
import type { TokenRecord, TokenStore } from './stores.ts';

function tokenText(tenant: string, secret: Buffer): string {
  return `lh_${tenant}_${secret.toString('base64url')}`;
}

/** SHA-256 of the whole token, hex. Its 256 random bits need no salt and no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token);
}

export interface TokenGrant {
  readonly tenant: string;
  readonly subject: string;
  /** Empty: all scopes of the tenant. */
  readonly scopes: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  /** Epoch milliseconds. Absent: it does not end by itself. */
  readonly expiresAt?: number | undefined;
}

function recordOf(grant: TokenGrant): TokenRecord {
  const { tenant, subject, scopes, now, expiresAt } = grant;
  const id = newCorrelationId(now);
  return { id, tenant, subject, scopes, createdAt: now, revokedAt: undefined, expiresAt, lastUsedAt: undefined };
}

/** Mints and stores a token. The text is returned here and nowhere else. */
export function createToken(
  tokens: Pick<TokenStore, 'add'>,
  grant: TokenGrant,
): { readonly token: string; readonly record: TokenRecord } {
  const token = tokenText(grant.tenant, randomBytes(32));
  const record = recordOf(grant);
  tokens.add(record, hashToken(token));
  return { token, record };
}

/** The same for a tenant as long as the master key is the same. For demo estates only: it cannot be renewed. */
export function deriveDemoToken(masterKey: Uint8Array, tenant: string): string {
  return tokenText(tenant, createHmac('sha256', deriveKey(masterKey, 'demo-token/v1')).update(tenant).digest());
}
