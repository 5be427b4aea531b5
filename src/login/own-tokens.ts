// Access tokens of the embedded authorization server, as a kind of token that callers bring.
// Not responsible for issuing them (`provider`) or for proof (`auth/jwt`).
// Invariant: membership and grant are looked up at every use, so what is taken back is felt at once; a token never gives a scope that
// the membership does not.
import { hash } from 'node:crypto';
import { jwtVerifier } from '../auth/jwt.ts';
import type { Principal } from '../auth/principal.ts';
import type { Json } from '../auth/token-form.ts';
import { tokenForm } from '../auth/token-form.ts';
import { type AuthTenant, type Found, isDenial, tokenRefused, type TokenSource, type Verdict } from '../auth/verdict.ts';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import type { LoginStore, Membership } from '../vault/stores.ts';
import { publicKeys } from './signing-keys.ts';
import { isOlder, type TenantAccess } from './tenant-access.ts';

const PROVED = 10_000;

interface Proved {
  readonly principal: Principal;
  readonly auth: CompiledAuth;
  readonly grant: string;
  /** Epoch seconds. */
  readonly issuedAt: number;
  /** For the membership as it was last seen. */
  limited?: { readonly by: Membership; readonly principal: Principal };
}

export interface OwnTokensOptions {
  readonly issuer: () => string;
  readonly login: LoginStore;
  readonly access: TenantAccess;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const OFF: Found = { verify: () => tokenRefused('signing in here is switched off for this tenant'), goodMs: 0, badMs: 0 };

export function ownTokens({ issuer, login, access, now }: OwnTokensOptions): TokenSource {
  const proved = new Map<string, Proved>();
  let made: Found | undefined;

  function found(): Found {
    const prove = jwtVerifier({
      issuer: {
        issuer: issuer(),
        audience: undefined,
        claims: { subject: ['sub'], tenant: undefined, scopes: ['scope'], roles: ['roles'], groups: ['groups'] },
        roleScopes: {},
        groupScopes: {},
        algorithms: ['ES256'],
        typ: 'at+jwt',
        skewMs: 0,
      },
      keys: publicKeys(login, now),
      now,
    });

    async function firstUse(name: string, token: string, tenant: AuthTenant): Promise<Verdict> {
      const principal = await prove(token, tenant);
      if (isDenial(principal)) return principal;
      const { grant, iat } = claimsOf(token);
      if (typeof grant !== 'string' || typeof iat !== 'number') return tokenRefused('the token names no grant');
      const known: Proved = { principal, auth: tenant.auth, grant, issuedAt: iat };
      const oldest = proved.size >= PROVED ? proved.keys().next() : undefined;
      if (oldest?.done === false) proved.delete(oldest.value);
      proved.set(name, known);
      return current(known, tenant);
    }

    function current(known: Proved, tenant: AuthTenant): Verdict {
      const { principal } = known;
      if (now() >= (principal.expiresAt ?? 0)) return tokenRefused('the token has expired');
      if (!login.alive('Grant', known.grant, now())) return tokenRefused('what the token was issued for has ended');
      const member = access.memberOf(tenant.id, principal.subject);
      if (member === undefined) return tokenRefused('the subject is no member of the tenant');
      if (isOlder(known.issuedAt, member)) return tokenRefused('the token is older than the membership');
      if (known.limited?.by !== member) {
        const scopes: ReadonlySet<string> = new Set(access.allowed(member, principal.scopes));
        known.limited = { by: member, principal: Object.freeze({ ...principal, scopes }) };
      }
      return known.limited.principal;
    }

    return {
      goodMs: 0,
      badMs: 0,
      verify(token, tenant) {
        const name = `${tenant.id} ${hash('sha256', token, 'base64url')}`;
        const known = proved.get(name);
        return known?.auth === tenant.auth ? current(known, tenant) : firstUse(name, token, tenant);
      },
    };
  }

  return {
    find(form, { auth }) {
      if (form.kind !== 'jwt' || form.issuer !== issuer()) return undefined;
      return auth.embedded ? (made ??= found()) : OFF;
    },
    // The address of all tenants is the resource of none.
    servers: ({ id, auth }) => (auth.embedded && id !== '' ? [issuer()] : []),
  };
}

function claimsOf(token: string): Json {
  const form = tokenForm(token);
  return form.kind === 'jwt' ? form.payload : {};
}
