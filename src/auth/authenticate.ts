// From an `Authorization` header to a principal of one tenant, or to a refusal.
// Not responsible for finding the tenant candidate (path, host), for any kind of token (`TokenSource`) or for what the principal may do.
// Invariant: the verified credential decides about its tenant; whatever is thrown here is a refusal; one verification per token at a
// time, and no tenant whose issuer hangs takes the place of another.
import { hash } from 'node:crypto';
import { readBearer } from './bearer.ts';
import { KeptVerdicts } from './kept-verdicts.ts';
import { type TokenForm, tokenForm } from './token-form.ts';
import { type AuthDenial, type AuthTenant, type Found, notNow, tokenRefused, type TokenSource, type Verdict } from './verdict.ts';

/** @param asking false: no other server is asked about the token; it is refused where that would be needed */
export type Authenticate = (authorization: string | undefined, tenant: string, asking?: boolean) => Verdict | Promise<Verdict>;

export interface AuthenticatorOptions {
  readonly sources: readonly TokenSource[];
  /** Undefined where there is no such tenant. */
  readonly tenantOf: (id: string) => AuthTenant | undefined;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Verifications under way of one tenant; another one is told to come again. */
const AT_ONCE = 64;
const NO_TOKEN: AuthDenial = { code: 'unauthenticated', reason: 'there is no bearer token' };
const NOT_ASKED = tokenRefused('the address was refused too often, so the issuer is not asked about its token');
const NO_ISSUER = tokenRefused('no issuer of this tenant makes such tokens');

export function createAuthenticator({ sources, tenantOf, now = Date.now }: AuthenticatorOptions): Authenticate {
  const kept = new KeptVerdicts(now);
  const underWay = new Map<string, Promise<Verdict>>();
  const perTenant = new Map<string, number>();

  function choose(form: TokenForm, tenant: AuthTenant): Found | undefined {
    for (const source of sources) {
      const found = source.find(form, tenant);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function verify(token: string, id: string, asking: boolean): Verdict | Promise<Verdict> {
    const tenant = tenantOf(id);
    if (tenant === undefined) return tokenRefused('there is no such tenant');
    // Found by their hash anyway, and revoked at once: nothing is to be kept of them.
    if (token.startsWith('lh_')) return choose(tokenForm(token), tenant)?.verify(token, tenant) ?? NO_ISSUER;
    const key = `${id} ${hash('sha256', token, 'base64url')}`;
    const known = kept.get(key, tenant.auth) ?? underWay.get(key);
    if (known !== undefined) return known;
    const found = choose(tokenForm(token), tenant);
    if (found === undefined) return NO_ISSUER;
    if (found.asks === true && !asking) return NOT_ASKED;
    const running = perTenant.get(id) ?? 0;
    if (running >= AT_ONCE) return notNow('too many tokens of the tenant are being verified');
    const verdict = found.verify(token, tenant);
    if (!(verdict instanceof Promise)) {
      kept.keep(key, verdict, found, tenant.auth);
      return verdict;
    }
    perTenant.set(id, running + 1);
    const settled = verdict.catch(failed).then((settledVerdict) => {
      underWay.delete(key);
      left(id);
      kept.keep(key, settledVerdict, found, tenant.auth);
      return settledVerdict;
    });
    underWay.set(key, settled);
    return settled;
  }

  function left(id: string): void {
    const running = (perTenant.get(id) ?? 1) - 1;
    if (running === 0) perTenant.delete(id);
    else perTenant.set(id, running);
  }

  return (authorization, tenant, asking = true) => {
    try {
      const bearer = readBearer(authorization);
      switch (bearer.kind) {
        case 'none':
          return NO_TOKEN;
        case 'malformed':
          return tokenRefused(bearer.reason);
        case 'token':
          return verify(bearer.token, tenant, asking);
        default:
          return bearer satisfies never;
      }
    } catch (cause) {
      return failed(cause);
    }
  };
}

function failed(cause: unknown): AuthDenial {
  return tokenRefused(`authentication failed (${cause instanceof Error ? cause.name : 'unknown'})`);
}
