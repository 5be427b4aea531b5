// Proves a signed access token (RFC 9068, RFC 8725): header, signature, issuer, times. What it says is `claims`' affair.
// Not responsible for where keys come from (`issuer-keys`, or inside the process), nor for which issuer a token belongs to.
// Invariant: the algorithm is one that the operator's list names, the key is one of the issuer's; nothing in the token chooses either.
// All that needs no key is looked at before a key is asked for.
import { hash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { CompiledIssuer } from '../config/compiled-auth.ts';
import { looksLikeAccessToken, principalOf } from './claims.ts';
import type { Json } from './token-form.ts';
import { tokenForm } from './token-form.ts';
import { notNow, tokenRefused, type AuthDenial, type Verifier } from './verdict.ts';

export interface KeySet {
  /**
   * The public key for a header (`alg`, `kid`), of which nothing is proved. Rejects with a `KeyUnknown` where the issuer has none, with
   * a `KeysUnavailable` where it cannot be asked.
   */
  find(header: Json): Promise<CryptoKey>;
}

export class KeyUnknown extends Error {
  override readonly name = 'KeyUnknown';
}
/** `message`: a reason for the audit; no URL, no secret. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/** Header members by which a token brings its own key, or asks for one to be fetched: none is ever looked into. */
const OWN_KEY = ['jku', 'jwk', 'x5u', 'x5c'] as const;
const TYP = /^(?:application\/)?at\+jwt$/i;
/** Some issuers do not mark access tokens, but no other kind of token is called so. */
const ANY_TYP = /^(?:application\/)?(?:at\+)?jwt$/i;
/** What an ID token has and an access token has not (OpenID Connect Core, 2 and 3.1.3.6). */
const ID_TOKEN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash'] as const;
/** How some issuers name what a JWT is, in its claims. */
const OTHER_USES = /^(?:id|id_token|refresh|offline|logout)$/i;

export interface JwtOptions {
  readonly issuer: Pick<
    CompiledIssuer,
    'issuer' | 'audience' | 'claims' | 'roleScopes' | 'groupScopes' | 'algorithms' | 'typ' | 'skewMs'
  >;
  readonly keys: KeySet;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export function jwtVerifier({ issuer, keys, now }: JwtOptions): Verifier {
  const algorithms: string[] = [...issuer.algorithms];

  return async (token, tenant) => {
    const form = tokenForm(token);
    if (form.kind !== 'jwt') return tokenRefused('the token is no signed JWT');
    const early = headerProblem(form.header, issuer) ?? claimsProblem(form.payload, issuer);
    if (early !== undefined) return tokenRefused(early);
    try {
      const { payload } = await jwtVerify(token, (header) => keys.find({ ...header }), {
        algorithms,
        issuer: issuer.issuer,
        requiredClaims: ['exp'],
        clockTolerance: issuer.skewMs / 1000,
        currentDate: new Date(now()),
      });
      const expiresAt = (payload.exp ?? 0) * 1000 + issuer.skewMs;
      const principal = principalOf({ claims: payload, credentialId: credentialId(token, payload), expiresAt }, issuer, tenant);
      return typeof principal === 'string' ? tokenRefused(principal) : principal;
    } catch (cause) {
      return denial(cause);
    }
  };
}

/** `jti` where it can stand in a record, else a name made from the hash of the token. */
export function credentialId(token: string, { jti }: Json): string {
  if (typeof jti === 'string' && /^[\x21-\x7e]{1,64}$/.test(jti)) return jti;
  return `sha256:${hash('sha256', token, 'base64url').slice(0, 22)}`;
}

function headerProblem(
  header: Json,
  { algorithms, typ: wanted }: Pick<CompiledIssuer, 'algorithms' | 'typ'>,
): string | undefined {
  const { alg, typ, kid, crit } = header;
  if (!algorithms.some((allowed) => allowed === alg)) return 'the algorithm of the token is not allowed';
  if (crit !== undefined) return 'the token has a critical header (crit) that is not understood';
  const brought = OWN_KEY.find((name) => header[name] !== undefined);
  if (brought !== undefined) return `the token brings its own key (${brought})`;
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return 'the key id of the token is malformed';
  if (wanted === 'at+jwt') return typeof typ === 'string' && TYP.test(typ) ? undefined : 'the token is no access token (typ)';
  return typ === undefined || (typeof typ === 'string' && ANY_TYP.test(typ)) ? undefined : 'the token is no access token (typ)';
}

function claimsProblem(claims: Json, issuer: Pick<CompiledIssuer, 'typ' | 'claims'>): string | undefined {
  const { token_use: use, typ } = claims;
  if (ID_TOKEN_CLAIMS.some((name) => claims[name] !== undefined)) return 'the token is an ID token';
  if ([use, typ].some((name) => typeof name === 'string' && OTHER_USES.test(name))) return 'the token is of another use';
  // RFC 8417: a security event, a logout token among them.
  if (claims['events'] !== undefined) return 'the token is of another use';
  const marked = issuer.typ === 'at+jwt' || looksLikeAccessToken(claims, issuer.claims);
  return marked ? undefined : 'the token is no access token (no scopes, and no client but its audience)';
}

/** What `jwtVerify` or a key set threw, told without a word of theirs. */
export function denial(cause: unknown): AuthDenial {
  if (cause instanceof KeysUnavailable) return notNow(`the keys of the issuer cannot be had: ${cause.message}`);
  if (cause instanceof KeyUnknown) return tokenRefused('the issuer has no such key');
  if (cause instanceof errors.JWTExpired) return tokenRefused('the token has expired');
  if (cause instanceof errors.JWTClaimValidationFailed)
    return tokenRefused(`the token fails its check of ${claimName(cause.claim)}`);
  if (cause instanceof errors.JWSSignatureVerificationFailed) return tokenRefused('the signature of the token is wrong');
  // Codes of jose are a closed list; messages are not.
  if (cause instanceof errors.JOSEError) return tokenRefused(`the token is malformed (${cause.code})`);
  return tokenRefused(`the token could not be verified (${cause instanceof Error ? cause.name : 'unknown'})`);
}

function claimName(claim: string): string {
  return /^[a-z]{2,10}$/.test(claim) ? claim : 'a claim';
}
