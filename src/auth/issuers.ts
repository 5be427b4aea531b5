// Access tokens that issuers signed, as a source: one verifier and one set of keys per configured issuer.
// Not responsible for proof (`jwt`) or for keys (`issuer-keys`). Invariant: a token is only ever verified against an issuer of the tenant
// that it must be good for; tenants share keys only where they share the issuer of leasehold.json.
import type { CompiledAuth, CompiledIssuer } from '../config/compiled-auth.ts';
import { claimedTenant } from './claims.ts';
import { IssuerKeys, type IssuerKeysOptions } from './issuer-keys.ts';
import { jwtVerifier } from './jwt.ts';
import type { Found, TokenSource } from './verdict.ts';

/** A verified token is not verified again for this long: what is withdrawn of it counts at most this long. */
const KEPT_MS = 60_000;

export interface IssuersOptions extends Pick<IssuerKeysOptions, 'fetch' | 'metadata' | 'now' | 'onFailure'> {
  /** Of leasehold.json: the issuers whose tokens may name the tenant. */
  readonly shared: CompiledAuth;
  /** The tenant that a value of a tenant claim stands for. */
  readonly tenantOfClaim: (value: string) => string | undefined;
}

export function signedTokens(options: IssuersOptions): TokenSource {
  const { shared, tenantOfClaim, ...ports } = options;
  const known = new WeakMap<CompiledIssuer, Found>();

  function foundFor(issuer: CompiledIssuer): Found {
    let found = known.get(issuer);
    if (found === undefined) {
      const keys = new IssuerKeys({ ...ports, issuer: issuer.issuer, jwksUri: issuer.jwksUri });
      found = { verify: jwtVerifier({ issuer, keys, now: ports.now }), goodMs: KEPT_MS, badMs: 0 };
      known.set(issuer, found);
    }
    return found;
  }
  function issuerOf(name: string, { issuers }: CompiledAuth): CompiledIssuer | undefined {
    return issuers.find(({ issuer }) => issuer === name);
  }
  return {
    find(form, { auth }) {
      const issuer = form.kind === 'jwt' ? issuerOf(form.issuer, auth) : undefined;
      return issuer === undefined ? undefined : foundFor(issuer);
    },
    servers: ({ auth }) => auth.issuers.map(({ issuer }) => issuer),
    hint(form) {
      const issuer = form.kind === 'jwt' ? issuerOf(form.issuer, shared) : undefined;
      const value = issuer === undefined || form.kind !== 'jwt' ? undefined : claimedTenant(form.payload, issuer.claims);
      return value === undefined ? undefined : tenantOfClaim(value);
    },
  };
}
