// Whether a request may go where it wants to go.
// Not responsible for addresses (`connect`) or headers.
// Invariant: scheme, host and port are compared as one exact string; a credential travels encrypted, or where the operator
// named the origin as private.
import type { OriginPolicy } from '../../src/boundary/egress.ts';

export type Target =
  | { readonly ok: true; readonly url: URL; readonly allowPrivate: boolean }
  | { readonly ok: false; readonly reason: string };

/** @param given absolute, or a path on the first origin of the policy */
export function resolveTarget(given: string, policy: OriginPolicy): Target {
  const url = URL.parse(given, policy.origins[0]);
  if (url === null) return { ok: false, reason: 'the URL is not valid' };
  if (url.username !== '' || url.password !== '') return { ok: false, reason: 'the URL has credentials in it' };
  return allowOrigin(url, policy);
}

export function allowOrigin(url: URL, policy: OriginPolicy): Target {
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return { ok: false, reason: `the scheme ${url.protocol} is not served` };
  if (!policy.origins.includes(url.origin)) return { ok: false, reason: `the origin ${url.origin} is not one of the connection` };
  return { ok: true, url, allowPrivate: policy.privateOrigins.includes(url.origin) };
}

export function mayCarryCredential(url: URL, policy: OriginPolicy): boolean {
  return url.protocol === 'https:' || policy.privateOrigins.includes(url.origin);
}

/** What a request may be; CONNECT and TRACE are none of a tool's business. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']);
export function isAllowedMethod(method: string): boolean {
  return METHODS.has(method);
}
