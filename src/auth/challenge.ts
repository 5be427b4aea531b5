// The values of `WWW-Authenticate` (RFC 6750 section 3, RFC 9110 section 11.6.1).
// Not responsible for when they are sent, nor for the exact reason of a refusal: that goes to the audit only.
// Invariant: who sent no credential learns no error code; nothing that a caller sent is repeated unescaped.

/** RFC 9110 quoted-string; what it cannot hold is dropped. */
function quoted(text: string): string {
  // RFC 6750 section 3: scope and description allow %x20-21 / %x23-5B / %x5D-7E only.
  return `"${text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '')}"`;
}

/** 401 without credentials: no error code (RFC 6750 section 3.1, last paragraph). */
export function credentialsNeeded(realm: string): string {
  return `Bearer realm=${quoted(realm)}`;
}

/** 401: unknown, foreign, expired, revoked and malformed tokens look the same. */
export function tokenRefused(realm: string): string {
  return `Bearer realm=${quoted(realm)}, error="invalid_token", error_description="The access token is not valid here."`;
}

/** 403: all scopes that the operation needs. */
export function scopesNeeded(realm: string, scopes: readonly string[]): string {
  return `Bearer realm=${quoted(realm)}, error="insufficient_scope", scope=${quoted(scopes.join(' '))}`;
}
