// What can be read off a grant: whose and whose server's it is, whether its token is good, what it allows. Pure.
// Not responsible for storing or renewing it.
// Invariant: a grant of another authorization server or client is no grant; in doubt a token is not good.
import type { CompiledOAuth, OAuth2Connection } from '../../config/compiled.ts';
import type { Grant, GrantKey } from '../../vault/stores.ts';
import type { Tokens } from './token-answer.ts';

/** Clocks differ, and a request takes its time: with less left than this a token is not sent. */
const SKEW_MS = 10_000;
/** A token is renewed this long before its end, or in the last fifth of its life where that is shorter. */
const AHEAD_MS = 120_000;

export function grantKey(
  tenant: string,
  { slot, owner }: OAuth2Connection,
  subject: { issuer?: string; subject?: string },
): GrantKey | undefined {
  if (owner === 'tenant') return { tenant, slot, owner: undefined };
  if (subject.issuer === undefined || subject.subject === undefined) return undefined;
  return { tenant, slot, owner: { issuer: subject.issuer, subject: subject.subject } };
}

/** What `Grant.binding` holds. */
export function grantBinding({ issuer, endpoints, clientId }: CompiledOAuth): string {
  return JSON.stringify([issuer ?? endpoints?.token, clientId]);
}

/** Which access token it is. */
export function tokenVersion({ id, serial }: Grant): string {
  return `${id}/${serial}`;
}

/** `due`: good for now, but time to renew. */
export function freshness({ expiresAt, refreshedAt }: Grant, now: number): 'good' | 'due' | 'stale' {
  if (expiresAt === undefined) return 'good';
  const life = Math.max(0, expiresAt - refreshedAt);
  const left = expiresAt - now;
  if (left <= Math.min(SKEW_MS, life / 10)) return 'stale';
  return left <= Math.min(AHEAD_MS, life / 5) ? 'due' : 'good';
}

/** Scopes that a tool needs and the grant lacks. */
export function lackingScopes(grant: Grant, { quirks }: CompiledOAuth, needed: readonly string[]): string[] {
  return needed.filter((scope) => {
    if (grant.scopes.includes(scope) || grant.scopes.includes(quirks.scopeAliases?.[scope] ?? scope)) return false;
    // A wider one that was granted may stand for it.
    return !(quirks.scopesAreReduced === true && grant.requested.includes(scope));
  });
}

/** The part of a grant that an answer of the token endpoint decides. */
export function renewedBy(tokens: Tokens, before: Grant, now: number): Grant {
  const { expiresAt: _expiresAt, refreshBegan: _began, reason: _reason, ...kept } = before;
  return {
    ...kept,
    serial: before.serial + 1,
    state: 'active',
    accessToken: tokens.accessToken,
    // Non-rotating servers send none: the old one stays good (RFC 6749, section 6).
    ...(tokens.refreshToken === undefined ? {} : { refreshToken: tokens.refreshToken }),
    ...(tokens.expiresInMs === undefined ? {} : { expiresAt: now + tokens.expiresInMs }),
    scopes: tokens.scopes ?? before.scopes,
    refreshedAt: now,
  };
}

/** A first grant, from what the code exchange or the client credentials gave. */
export function newGrant(
  id: string,
  oauth: CompiledOAuth,
  tokens: Tokens,
  now: number,
  requested: readonly string[] = oauth.scopes,
): Grant {
  return {
    id,
    serial: 1,
    binding: grantBinding(oauth),
    state: 'active',
    requested,
    scopes: tokens.scopes ?? requested,
    accessToken: tokens.accessToken,
    ...(tokens.refreshToken === undefined ? {} : { refreshToken: tokens.refreshToken }),
    ...(tokens.expiresInMs === undefined ? {} : { expiresAt: now + tokens.expiresInMs }),
    connectedAt: now,
    refreshedAt: now,
  };
}
