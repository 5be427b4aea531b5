// The values of `WWW-Authenticate` (RFC 6750 section 3, RFC 9110 section 11.6.1, RFC 9728 section 5.1). Pure.
// Not responsible for when they are sent, nor for the exact reason of a refusal: that goes to the audit only.
// Invariant: who sent no credential learns no error code; nothing that a caller sent is repeated unescaped.

/** Where a client finds out how to get a token; parts that do not apply are left out. */
export interface ChallengeFacts {
  readonly realm: string;
  /** URL of the metadata document (RFC 9728), where an authorization server can be named. */
  readonly metadata: string | undefined;
  /** What a client without a token is told to ask for. */
  readonly basicScopes: readonly string[];
}

/** RFC 9110 quoted-string; what it cannot hold is dropped. */
function quoted(text: string): string {
  // RFC 6750 section 3: scope and description allow %x20-21 / %x23-5B / %x5D-7E only.
  return `"${text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '')}"`;
}

function bearer({ realm, metadata }: ChallengeFacts, error: string, scopes: readonly string[]): string {
  const scope = scopes.length === 0 ? '' : `, scope=${quoted(scopes.join(' '))}`;
  const where = metadata === undefined ? '' : `, resource_metadata=${quoted(metadata)}`;
  return `Bearer realm=${quoted(realm)}${error}${scope}${where}`;
}

/** 401 without credentials: no error code (RFC 6750 section 3.1, last paragraph). */
export function credentialsNeeded(facts: ChallengeFacts): string {
  return bearer(facts, '', facts.basicScopes);
}

/** 401: unknown, foreign, expired, revoked and malformed tokens look the same. */
export function tokenNotValid(facts: ChallengeFacts): string {
  return bearer(facts, ', error="invalid_token", error_description="The access token is not valid here."', facts.basicScopes);
}

/** 403: all scopes that the operation needs. */
export function scopesNeeded(facts: ChallengeFacts, scopes: readonly string[]): string {
  return bearer(facts, ', error="insufficient_scope"', scopes);
}
