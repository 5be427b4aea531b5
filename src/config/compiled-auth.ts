// Who may call a tenant and how a request names it, after `compile`: what `auth/` and the HTTP edge read.
// Not responsible for files or schemas. Invariant: deep-frozen; no secret in it, only names of secrets. Tenants that say nothing of
// their own share one object, so that what is kept for an issuer (keys, answers) is kept once.
import type { Algorithm } from './auth-schema.ts';
import type { CompiledOAuth, SecretRef } from './compiled.ts';

export type ScopesBy = { readonly [name: string]: readonly string[] };

/** Where what we need to know stands in a token: a name, or the steps of a path into an object. */
export interface CompiledClaims {
  readonly subject: readonly string[];
  /** Undefined: the audience alone says for which tenant a token is. */
  readonly tenant: readonly string[] | undefined;
  /** Undefined: `scope`, or else `scp`. */
  readonly scopes: readonly string[] | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

interface Source {
  /** Compared as text with `iss`. */
  readonly issuer: string;
  /** Undefined: the addresses of the tenant's own endpoint. */
  readonly audience: readonly string[] | undefined;
  readonly claims: CompiledClaims;
  readonly roleScopes: ScopesBy;
  readonly groupScopes: ScopesBy;
}

/** An issuer of signed access tokens. */
export interface CompiledIssuer extends Source {
  readonly jwksUri: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly typ: 'at+jwt' | 'any';
  readonly skewMs: number;
}

/** An issuer of opaque access tokens, which it is asked about (RFC 7662). */
export interface CompiledIntrospection extends Source {
  readonly endpoint: string | undefined;
  readonly clientId: string;
  readonly clientSecret: SecretRef;
  readonly clientAuth: 'client_secret_basic' | 'client_secret_post';
  readonly prefix: string;
  readonly cacheMs: number;
}

export interface CompiledAuth {
  /** Whether tokens that are minted here are good. */
  readonly tokens: boolean;
  readonly issuers: readonly CompiledIssuer[];
  readonly introspection: readonly CompiledIntrospection[];
  /** Whether tokens of the embedded authorization server are good, and clients are sent to it. */
  readonly embedded: boolean;
  /** By scope, all that it brings with it, itself left out: already followed to the end. */
  readonly implied: ScopesBy;
  /** What a client without a token is told to ask for; empty: nothing. */
  readonly basicScopes: readonly string[];
  /** Values of a tenant claim that stand for the tenant; undefined: its id. */
  readonly claimValues: readonly string[] | undefined;
}

/** Of a provider's people, who may sign in; what cannot be checked does not hold. */
export interface CompiledAllow {
  /** Lower case; undefined: any, or none. */
  readonly emailDomains: readonly string[] | undefined;
  readonly claims: readonly { readonly path: readonly string[]; readonly values: readonly string[] }[];
}

/** A provider that says who somebody is. */
export interface CompiledSignInProvider {
  /** First part of the subjects of its people. */
  readonly name: string;
  /** As its clients we ask for codes; without `offline_access`, since nothing of it is kept. */
  readonly oauth: CompiledOAuth;
  /** Whose ID tokens count, and where its keys are (undefined: as its metadata say). Undefined: plain OAuth, user info decides. */
  readonly openid: { readonly issuer: string; readonly jwksUri: string | undefined } | undefined;
  /** Undefined: as its metadata say, or nowhere. */
  readonly userinfo: string | undefined;
  readonly subject: readonly string[];
  /** The `prompt` that has somebody say again who they are. */
  readonly again: string | undefined;
  readonly allow: CompiledAllow;
  /** Undefined: all. */
  readonly tenants: readonly string[] | undefined;
}

/** How people sign in at the server itself. */
export interface CompiledSignIn {
  /** Whether accounts of the server count. */
  readonly accounts: boolean;
  readonly providers: { readonly [name: string]: CompiledSignInProvider };
}

/** Of the HTTP edge; 0: no limit. */
export interface CompiledRates {
  readonly addressPerSecond: number;
  readonly refusalsPerMinute: number;
}

export interface CompiledRouting {
  readonly path: boolean;
  /** Lower case, around the tenant: `''` and `.example.com`. */
  readonly host: { readonly before: string; readonly after: string } | undefined;
  /** Lower case. */
  readonly header: string | undefined;
  readonly claim: boolean;
}
