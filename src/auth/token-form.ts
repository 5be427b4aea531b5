// What a bearer token looks like before anything of it is proved: minted here, a JWT, or opaque. Pure.
// Not responsible for whether any of that is true. Invariant: bounded work for any text; nothing in here is trusted for more than the
// choice of who proves it.

/** Claims and header fields as sent. */
export type Json = Readonly<Record<string, unknown>>;

export type TokenForm =
  /** `tenant`: what its text names. */
  | { readonly kind: 'minted'; readonly token: string; readonly tenant: string }
  | { readonly kind: 'jwt'; readonly token: string; readonly header: Json; readonly payload: Json; readonly issuer: string }
  | { readonly kind: 'opaque'; readonly token: string };

const MINTED = /^lh_([a-z0-9-]{1,63})_[A-Za-z0-9_-]{43}$/;
/** RFC 7515, section 7.1. No part can match a dot, so this is one pass. */
const COMPACT = /^([A-Za-z0-9_-]{2,4096})\.([A-Za-z0-9_-]{2,})\.([A-Za-z0-9_-]+)$/;

export function tokenForm(token: string): TokenForm {
  if (token.startsWith('lh_')) return { kind: 'minted', token, tenant: MINTED.exec(token)?.[1] ?? '' };
  const [, first, second] = COMPACT.exec(token) ?? [];
  const header = objectIn(first);
  // A header with `alg` is what makes it a JWS (RFC 7515, section 4.1.1).
  if (header === undefined || typeof header['alg'] !== 'string') return { kind: 'opaque', token };
  const payload = objectIn(second) ?? {};
  const issuer = payload['iss'];
  return { kind: 'jwt', token, header, payload, issuer: typeof issuer === 'string' ? issuer : '' };
}

function objectIn(segment: string | undefined): Json | undefined {
  if (segment === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}
