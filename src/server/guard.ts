// The first look at a request, before its body: Host, Origin, headers that stand twice, too many headers.
// Not responsible for credentials (`authenticate`) or bodies. Pure, apart from reading the request.
// Invariant: a header that anything decides by stands exactly once in what passes.
import type { IncomingMessage } from 'node:http';
import { type Failure, failure } from '../shared/errors.ts';
import type { AllowList } from './allow-list.ts';

/** Header fields of one request. */
export const MAX_HEADERS = 100;

/** Those whose second value Node drops or joins, so that two readers could see different ones. */
const ONCE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'last-event-id',
  'mcp-protocol-version',
  'origin',
  'transfer-encoding',
]);

/** The name of a header that stands twice and must not; every `Mcp-*` counts, and the one that may name the tenant. */
export function duplicateHeader(raw: readonly string[], tenantHeader: string | undefined): string | undefined {
  let seen: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!ONCE.has(name) && !name.startsWith('mcp-') && name !== tenantHeader) continue;
    if (seen === undefined) seen = [name];
    else if (seen.includes(name)) return name;
    else seen.push(name);
  }
  return undefined;
}

export function guard(request: IncomingMessage, allowed: AllowList, tenantHeader?: string): Failure | undefined {
  const { headers, rawHeaders, socket } = request;
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    return failure('request_invalid', { message: `A request has at most ${MAX_HEADERS} headers.` });
  }
  const twice = duplicateHeader(rawHeaders, tenantHeader);
  if (twice !== undefined) return failure('header_duplicate', { reason: twice });
  if (!allowed.host(headers.host, socket)) return failure('host_forbidden');
  if (!allowed.origin(headers.origin)) return failure('origin_forbidden');
  return undefined;
}
