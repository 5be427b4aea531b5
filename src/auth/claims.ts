// From the claims of a proved token to the principal of one tenant: for whom it is, which tenant, which subject, which scopes. Pure.
// Not responsible for the proof (`jwt`, `introspection`). Invariant: the token was made for exactly this tenant, by its audience or by the
// claim that names the tenant; `*` is never taken from a token; every list has a bound.
import type { CompiledClaims, CompiledIntrospection, CompiledIssuer } from '../config/compiled-auth.ts';
import { ALL_SCOPES } from './policy.ts';
import type { Principal } from './principal.ts';
import { canonicalCase } from './resource.ts';
import { valueOf, withImplied } from './scopes.ts';
import type { Json } from './token-form.ts';
import type { AuthTenant } from './verdict.ts';

const MOST_AUDIENCES = 20;
const MOST_VALUES = 500;
const MOST_TEXT = 256;
/** What a subject, a client or a group may look like, so that nothing strange reaches a log, a page or a key. */
const NAME = /^[^\p{Cc}\p{Cs}]{1,256}$/u;
/** RFC 6749, section 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

type Source = Pick<CompiledIssuer | CompiledIntrospection, 'issuer' | 'audience' | 'claims' | 'roleScopes' | 'groupScopes'>;

export interface Proved {
  readonly claims: Json;
  /** Public id of the token, for the audit. */
  readonly credentialId: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number | undefined;
}

/** A text is the exact reason of a refusal. */
export function principalOf({ claims, credentialId, expiresAt }: Proved, source: Source, tenant: AuthTenant): Principal | string {
  const audience = audienceProblem(claims, source, tenant);
  if (audience !== undefined) return audience;
  const named = tenantProblem(claims, source.claims, tenant);
  if (named !== undefined) return named;
  // RFC 7800: who presents it must prove a key, and a bearer proves none (RFC 9449, section 7.1).
  if (claims['cnf'] !== undefined) return 'the token is bound to a key of its holder (cnf)';
  const who = whoIs(claims, source.claims);
  if (typeof who === 'string') return who;
  const groups = listAt(claims, source.claims.groups);
  const scopes = scopesOf(claims, source, groups);
  if (scopes === undefined) return 'the token has too many scopes, roles or groups';
  return Object.freeze({
    tenant: tenant.id,
    issuer: source.issuer,
    scopes: withImplied(scopes, tenant.auth.implied),
    credentialId,
    ...who,
    ...(groups === undefined || groups.length === 0 ? {} : { groups: Object.freeze(groups) }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  });
}

/**
 * Whether claims that no header marks are those of an access token: an ID token is made for the client that it names and has no scopes
 * (OpenID Connect Core, 2).
 */
export function looksLikeAccessToken(claims: Json, { scopes: path }: CompiledClaims): boolean {
  const named = path === undefined ? (claims['scope'] ?? claims['scp']) : claimAt(claims, path);
  if (named !== undefined) return true;
  const client = claims['client_id'] ?? claims['azp'] ?? claims['appid'];
  const { aud } = claims;
  return typeof client === 'string' && !(Array.isArray(aud) ? aud : [aud]).includes(client);
}

function audienceProblem({ aud }: Json, { audience, claims }: Source, tenant: AuthTenant): string | undefined {
  const named = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : undefined;
  if (named === undefined) return 'the token has no audience';
  if (named.length > MOST_AUDIENCES || !named.every((one): one is string => typeof one === 'string'))
    return 'the audience of the token is malformed';
  const uris = named.map(canonicalCase);
  // Good for one tenant only (RFC 8707, section 2), whatever its issuer thinks.
  if (uris.some((uri) => tenant.isForeignResource(uri)))
    return uris.length === 1 ? 'the token is for another tenant' : 'the token is for another tenant, too';
  if (audience !== undefined)
    return named.some((one) => audience.includes(one)) ? undefined : 'the token is for another audience';
  if (uris.some((uri) => tenant.resources.includes(uri))) return undefined;
  const { sharedResource } = tenant;
  if (sharedResource === undefined || !uris.includes(sharedResource)) return 'the token is for another audience';
  return claims.tenant === undefined ? 'the token is for the address of all tenants, and no claim names one' : undefined;
}

function tenantProblem(claims: Json, { tenant: path }: CompiledClaims, { id, auth }: AuthTenant): string | undefined {
  if (path === undefined) return undefined;
  const value = claimAt(claims, path);
  const ours = auth.claimValues ?? [id];
  if (typeof value === 'string') return ours.includes(value) ? undefined : 'the token names another tenant';
  if (!Array.isArray(value)) return 'the token names no tenant';
  return value.length <= MOST_VALUES && value.some((one) => ours.includes(one)) ? undefined : 'the token names other tenants';
}

/** What the tenant claim of an unproved token says. */
export function claimedTenant(claims: Json, { tenant: path }: CompiledClaims): string | undefined {
  const value = path === undefined ? undefined : claimAt(claims, path);
  return typeof value === 'string'
    ? value
    : Array.isArray(value) && value.length === 1 && typeof value[0] === 'string'
      ? value[0]
      : undefined;
}

function whoIs(
  claims: Json,
  { subject: path }: CompiledClaims,
): Pick<Principal, 'subject' | 'client' | 'actsForItself'> | string {
  const named = claims['client_id'] ?? claims['azp'];
  const client = typeof named === 'string' && NAME.test(named) ? named : undefined;
  const subject = claimAt(claims, path);
  if (subject === undefined || subject === null) {
    if (client === undefined) return 'the token names neither a subject nor a client';
    // Its own name space: a client must not be taken for the user who is called as it is (RFC 9068, section 5).
    return { subject: `client:${client}`, client, actsForItself: true };
  }
  if (typeof subject !== 'string' || !NAME.test(subject)) return 'the subject of the token is malformed';
  if (subject.startsWith('client:')) return 'the subject of the token is in the name space of clients';
  // An address that nobody proved may be anybody's.
  if (path.join('/') === 'email' && claims['email_verified'] !== true) return 'the e-mail address of the token is not verified';
  // RFC 9068, section 2.2: where no user takes part, `sub` is the client.
  return { subject, ...(client === undefined ? {} : { client }), ...(client === subject ? { actsForItself: true } : {}) };
}

/** Undefined where there are too many. */
function scopesOf(claims: Json, source: Source, groups: readonly string[] | undefined): string[] | undefined {
  const { scopes: path, roles } = source.claims;
  const own = path === undefined ? joined(listAt(claims, ['scope']), listAt(claims, ['scp'])) : listAt(claims, path);
  const held = listAt(claims, roles);
  if (own === undefined || held === undefined || groups === undefined) return undefined;
  return [
    ...own.filter((scope) => scope !== ALL_SCOPES && SCOPE.test(scope)),
    ...held.flatMap((role) => valueOf(source.roleScopes, role)),
    ...groups.flatMap((group) => valueOf(source.groupScopes, group)),
  ];
}

function joined(one: string[] | undefined, other: string[] | undefined): string[] | undefined {
  return one === undefined || other === undefined ? undefined : [...one, ...other];
}

/** A list, or a text with spaces between the members. Absent: empty. Undefined where it is too long. */
function listAt(claims: Json, path: readonly string[]): string[] | undefined {
  const value = claimAt(claims, path);
  const list: unknown[] = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  if (list.length > MOST_VALUES) return undefined;
  return list.filter((one): one is string => typeof one === 'string' && one.length <= MOST_TEXT && NAME.test(one));
}

/** Undefined where a step leads nowhere. */
export function claimAt(claims: Json, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Json)[step];
  }
  return value;
}
