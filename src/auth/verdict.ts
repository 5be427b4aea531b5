// What authentication comes to, and the seam at which a kind of token plugs in. Types only.
// Not responsible for any kind of token (`minted`, `jwt`, `introspection`) or for choosing among them (`authenticate`).
// Invariant: a verifier proves the token for exactly the tenant that it is given; what it cannot prove, it refuses.
import type { CompiledAuth } from '../config/compiled-auth.ts';
import type { FailureCode } from '../shared/errors.ts';
import type { Principal } from './principal.ts';
import type { TokenForm } from './token-form.ts';

/** Why a caller is not let in. The caller learns the code's public text only. */
export interface AuthDenial {
  readonly code: FailureCode;
  /** Exact, for the audit: never a part of a token. */
  readonly reason: string;
  /** It may be another answer in a moment (the issuer cannot be reached), so it is not kept. */
  readonly temporary?: true;
}
export type Verdict = Principal | AuthDenial;

export function isDenial(verdict: Verdict): verdict is AuthDenial {
  return 'reason' in verdict;
}
export function tokenRefused(reason: string): AuthDenial {
  return { code: 'token_invalid', reason };
}
/** Nothing is said against the token: whoever could vouch for it does not answer. */
export function notNow(reason: string): AuthDenial {
  return { code: 'auth_unavailable', reason, temporary: true };
}

/** The tenant that a token must be good for. */
export interface AuthTenant {
  readonly id: string;
  readonly auth: CompiledAuth;
  /** URIs of its MCP endpoint that no other tenant has: what `aud` may name (RFC 8707). The first one is told to clients. */
  readonly resources: readonly string[];
  /** The URI of an endpoint that several tenants share: counts as audience only beside a claim that names the tenant. */
  readonly sharedResource: string | undefined;
  /** Whether the URI is the endpoint of another tenant of this server. */
  readonly isForeignResource: (uri: string) => boolean;
}

/** May throw or reject: that is a refusal, too. */
export type Verifier = (token: string, tenant: AuthTenant) => Verdict | Promise<Verdict>;

/** A verifier for one token, and how long what it says may be kept (milliseconds; a principal never beyond its `expiresAt`). */
export interface Found {
  readonly verify: Verifier;
  readonly goodMs: number;
  readonly badMs: number;
  /** Each verification is a request to another server. */
  readonly asks?: true;
}

/** A kind of token. The first source that knows a token decides about it. */
export interface TokenSource {
  /** By the form of the token and, where it names one, by its issuer: nothing of that is proved yet. */
  find(form: TokenForm, tenant: AuthTenant): Found | undefined;
  /** Issuers from which clients of the tenant can get tokens of this kind, for `authorization_servers` (RFC 9728). */
  servers(tenant: AuthTenant): readonly string[];
  /** Which tenant the token says it is for, unproved. */
  hint?(form: TokenForm): string | undefined;
}
