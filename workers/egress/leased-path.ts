// Path and query of a request as they go out: those of the tool, and the query parameters of the lease.
// Not responsible for headers. The URL that a tool is told of stays without the lease.
// Invariant: what the tool wrote is not encoded anew; a parameter of the lease stands there once, and is the lease's.
import type { TakenLease } from './lease.ts';

export type LeasedPath = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string };

export function leasedPath(url: URL, lease: TakenLease | undefined): LeasedPath {
  const path = `${url.pathname}${url.search}`;
  const added = lease === undefined ? [] : Object.entries(lease.query);
  if (added.length === 0) return { ok: true, path };
  const taken = added.find(([name]) => url.searchParams.has(name));
  if (taken !== undefined) return { ok: false, reason: `the query parameter "${taken[0]}" cannot be set by a tool` };
  const query = added.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  return { ok: true, path: `${path}${url.search === '' ? '?' : '&'}${query}` };
}
