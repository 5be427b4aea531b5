// A request for an endpoint of the protocol, as oidc-provider is to see it: at the operator's address, with all that is asked for.
// Not responsible for answering it (`provider`). Changes the request in place.
// Invariant: host and scheme come from the public URL, never from a header of a client.
import type { IncomingMessage } from 'node:http';
import { ENDPOINT_SCOPE, type TenantAccess } from './tenant-access.ts';

export interface RequestPlace {
  /** Public URL of the server, without a trailing slash. */
  readonly issuer: string;
  /** Of the peer. */
  readonly address: string;
  readonly access: TenantAccess;
}

/** The provider makes addresses of what a request says, so the request says what the operator does. */
export function completeRequest(request: IncomingMessage, { issuer, address, access }: RequestPlace): void {
  const { host, protocol, pathname } = new URL(issuer);
  const below = pathname.replace(/\/+$/, '');
  Object.assign(request.headers, { host, 'x-forwarded-proto': protocol.slice(0, -1), 'x-forwarded-for': address });
  delete request.headers['x-forwarded-host'];
  const { url = '' } = request;
  const mark = url.indexOf('?');
  const [path, query] = mark === -1 ? [url, undefined] : [url.slice(0, mark), url.slice(mark + 1)];
  const asked = path.startsWith('/.well-known/') ? path.slice(0, path.length - (path.endsWith(below) ? below.length : 0)) : path;
  const search = query === undefined ? '' : `?${asked === '/oauth/authorize' ? completed(query, access) : query}`;
  request.url = `${asked}${search}`;
  Object.assign(request, { originalUrl: `${below}${request.url}` });
}

/** A client that names no scopes asks for all that there are (RFC 6749, section 3.3); what it gets is up to the membership. */
function completed(query: string, access: TenantAccess): string {
  const params = new URLSearchParams(query);
  const tenant = access.tenantOf(params.get('resource'));
  const asked = params.getAll('scope');
  if (asked.length > 1) return query;
  const scopes =
    asked[0] === undefined || asked[0] === '' ? (tenant === undefined ? [] : access.scopesOf(tenant)) : asked[0].split(' ');
  params.set('scope', [...new Set([ENDPOINT_SCOPE, ...scopes])].join(' '));
  params.delete('response_mode');
  return params.toString();
}
