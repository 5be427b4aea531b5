// The ways in which a request may name its tenant, from options to what the HTTP edge reads.
// Not responsible for comparing them (`tenants/resolve`). Pure.
// Invariant: at least one way; a header or host name that something else decides by is refused.
import type { RoutingOptions } from './auth-schema.ts';
import { type Compiled, type Fault } from './compile-oauth.ts';
import type { CompiledRouting } from './compiled-auth.ts';

const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** Those that something else decides by, or that proxies and Node treat in their own ways. */
const TAKEN =
  /^(?:accept|authorization|baggage|connection|content-.*|cookie|expect|forwarded|host|keep-alive|last-event-id|mcp-.*|origin|proxy-.*|sec-.*|te|trace.*|trailer|transfer-encoding|upgrade|via|x-correlation-id|x-forwarded-.*|x-real-ip)$/i;
const HOST = /^(?:[a-z0-9-]{1,63}[.-])*\{tenant\}(?:-[a-z0-9-]{1,60})?(?:\.[a-z0-9-]{1,63})+$/;

export function compileRouting(options: RoutingOptions): Compiled<CompiledRouting> {
  const { path = true, host, header, claim = false } = options;
  const faults: Fault[] = [];
  const template = host?.toLowerCase();
  if (template !== undefined && !HOST.test(template))
    faults.push({ at: '/host', reason: 'must be a host name with one {tenant} in it: {tenant}.example.com' });
  if (header !== undefined && (!HEADER.test(header) || TAKEN.test(header)))
    faults.push({ at: '/header', reason: 'is no header name, or one that has another meaning', hint: 'x-tenant' });
  if (!path && host === undefined && header === undefined && !claim)
    faults.push({ at: '', reason: 'leaves no way to name a tenant' });
  if (faults.length > 0) return { faults };
  const [before = '', after = ''] = template?.split('{tenant}') ?? [];
  return { value: { path, host: template === undefined ? undefined : { before, after }, header: header?.toLowerCase(), claim } };
}
