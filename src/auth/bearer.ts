// Takes the token out of an `Authorization` header (RFC 6750 section 2.1). Pure.
// Not responsible for whether the token is good, nor for duplicate headers: the HTTP edge refuses those before (Node keeps
// only the first of several, so they must be looked for in the raw headers).
// Invariant: the header is the one place where a token is looked for; query and body are never read (RFC 9700 section 4.3.2).

/** Longest header value, bytes: JWTs that name the groups of a subject are large. */
export const AUTHORIZATION_BYTES = 8192;

export type Bearer =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'token'; readonly token: string };

const NONE: Bearer = { kind: 'none' };
/** Scheme in any case, one or more spaces, then b64token (RFC 9110 section 11.4 token68) and nothing else. */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;
const BEARER_SCHEME = /^bearer(?![A-Za-z0-9!#$%&'*+.^_`|~-])/i;

export function readBearer(authorization: string | undefined): Bearer {
  if (authorization === undefined) return NONE;
  if (authorization.length > AUTHORIZATION_BYTES) return { kind: 'malformed', reason: 'the Authorization header is too long' };
  const token = BEARER.exec(authorization)?.[1];
  if (token !== undefined) return { kind: 'token', token };
  // Another scheme is no credential of ours (RFC 6750 section 3.1: then no error code is given).
  return BEARER_SCHEME.test(authorization) ? { kind: 'malformed', reason: 'the bearer token is malformed' } : NONE;
}
