// What a client may be that nobody here knows: one that registered itself (RFC 7591), or whose id is the address of its metadata.
// Not responsible for the forms of metadata (oidc-provider checks those). Pure.
// Invariant: codes go to https or to this very machine, nowhere else.
import { errors } from 'oidc-provider';
import { isLocal } from './consents.ts';

const MOST_REDIRECTS = 10;
const LONGEST = 2048;

export function redirectProblem(uris: readonly unknown[]): string | undefined {
  if (uris.length === 0 || uris.length > MOST_REDIRECTS) return `there must be 1 to ${MOST_REDIRECTS} redirect URIs`;
  for (const uri of uris) {
    const url = typeof uri === 'string' && uri.length <= LONGEST ? URL.parse(uri) : null;
    if (url === null) return 'a redirect URI is malformed';
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal(url.href)))
      return 'redirect URIs must be https, or http on this machine (127.0.0.1, [::1], localhost)';
    if (url.username !== '' || url.password !== '') return 'a redirect URI has a user or password';
  }
  return undefined;
}

/** Changes what a client sent in place, before it is checked and stored. */
export function admitRegistration(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const metadata = body as Record<string, unknown>;
  const uris = metadata['redirect_uris'];
  const problem = redirectProblem(Array.isArray(uris) ? uris : []);
  if (problem !== undefined) throw new errors.InvalidRedirectUri(problem);
  adapt(metadata);
}

/** Scopes are those of tenants, which no client knows; and a program on a machine of its user gets any port there (RFC 8252, 7.3). */
export function adapt(metadata: Record<string, unknown>): void {
  delete metadata['scope'];
  const uris = metadata['redirect_uris'];
  if (Array.isArray(uris) && uris.some((uri) => typeof uri === 'string' && isLocal(uri))) metadata['application_type'] = 'native';
}
