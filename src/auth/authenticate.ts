// From an `Authorization` header to a principal of one tenant, or to a refusal.
// Not responsible for finding the tenant candidate (path, host), for any kind of token (`TokenSource`) or for what the principal may do.
// Invariant: the verified credential decides about its tenant; whatever is thrown here is a refusal; what is kept is kept per tenant, for
// the configuration that it was proved with, and by the hash of the token.
import { hash } from 'node:crypto';
import type { CompiledAuth } from '../config/compiled-auth.ts';
import { readBearer } from './bearer.ts';
import { type TokenForm, tokenForm } from './token-form.ts';
import {
  type AuthDenial,
  type AuthTenant,
  type Found,
  isDenial,
  notNow,
  tokenRefused,
  type TokenSource,
  type Verdict,
} from './verdict.ts';

export type Authenticate = (authorization: string | undefined, tenant: string) => Verdict | Promise<Verdict>;

export interface AuthenticatorOptions {
  readonly sources: readonly TokenSource[];
  /** Undefined where there is no such tenant. */
  readonly tenantOf: (id: string) => AuthTenant | undefined;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** Verdicts kept; the oldest goes first. */
const KEPT = 10_000;
/** Verifications under way; another one is told to come again. */
const AT_ONCE = 256;

interface Kept {
  readonly verdict: Verdict;
  readonly auth: CompiledAuth;
  /** Epoch milliseconds. */
  readonly until: number;
}

const NO_TOKEN: AuthDenial = { code: 'unauthenticated', reason: 'there is no bearer token' };

export function createAuthenticator({ sources, tenantOf, now = Date.now }: AuthenticatorOptions): Authenticate {
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<Verdict>>();

  function keep(key: string, verdict: Verdict, { goodMs, badMs }: Found, auth: CompiledAuth): void {
    const until = isDenial(verdict)
      ? now() + (verdict.temporary === true ? 0 : badMs)
      : Math.min(now() + goodMs, verdict.expiresAt ?? Number.POSITIVE_INFINITY);
    if (until <= now()) return;
    kept.delete(key);
    kept.set(key, { verdict, auth, until });
    if (kept.size <= KEPT) return;
    const oldest = kept.keys().next();
    if (!oldest.done) kept.delete(oldest.value);
  }

  function choose(form: TokenForm, tenant: AuthTenant): Found | undefined {
    for (const source of sources) {
      const found = source.find(form, tenant);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function verify(token: string, id: string): Verdict | Promise<Verdict> {
    const tenant = tenantOf(id);
    if (tenant === undefined) return tokenRefused('there is no such tenant');
    const minted = token.startsWith('lh_');
    const key = minted ? '' : `${id} ${hash('sha256', token, 'base64url')}`;
    if (!minted) {
      const known = kept.get(key);
      if (known !== undefined && known.auth === tenant.auth && now() < known.until) return known.verdict;
      const running = underWay.get(key);
      if (running !== undefined) return running;
    }
    const found = choose(tokenForm(token), tenant);
    if (found === undefined) return tokenRefused('no issuer of this tenant makes such tokens');
    const verdict = found.verify(token, tenant);
    if (!(verdict instanceof Promise)) {
      if (!minted) keep(key, verdict, found, tenant.auth);
      return verdict;
    }
    if (underWay.size >= AT_ONCE) {
      void verdict.catch(() => undefined);
      return notNow('too many tokens are being verified');
    }
    const settled = verdict
      .catch(failed)
      .then((known) => {
        keep(key, known, found, tenant.auth);
        return known;
      })
      .finally(() => underWay.delete(key));
    underWay.set(key, settled);
    return settled;
  }

  return (authorization, tenant) => {
    try {
      const bearer = readBearer(authorization);
      switch (bearer.kind) {
        case 'none':
          return NO_TOKEN;
        case 'malformed':
          return tokenRefused(bearer.reason);
        case 'token':
          return verify(bearer.token, tenant);
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
