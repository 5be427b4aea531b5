// Headers of an egress request and of its answer: what may go out, what may come in.
// Not responsible for values that arguments made (`workers/bindings`) or for which lease is used.
// Invariant: credentials come from a lease only; nothing of the connection (hop-by-hop, framing, cookies) crosses either way.
import type { TraceContext } from '../../src/boundary/egress.ts';
import { isCredentialHeader, isHeaderName, isHeaderValue, isRuntimeHeader } from '../../src/shared/http-headers.ts';
import { ACCEPT_ENCODING } from '../../src/shared/net/decode.ts';
import type { ResponseHeaders } from '../../src/shared/net/exchange.ts';
import type { TakenLease } from './lease.ts';

export type RequestHeaders =
  | { readonly ok: true; readonly headers: Record<string, string> }
  | { readonly ok: false; readonly reason: string };

const REQUEST_HEADERS = 100;
const REQUEST_BYTES = 65_536;
const USER_AGENT = 'leasehold';

/**
 * @param given by a tool: what the runtime sets itself is left out (client libraries send it by habit), a credential is refused
 * @param lease added last; a tool cannot set a header that the lease sets
 */
export function requestHeaders(
  given: Readonly<Record<string, string>>,
  { traceparent, tracestate, baggage }: TraceContext,
  lease: TakenLease | undefined,
): RequestHeaders {
  const headers: Record<string, string> = { 'user-agent': USER_AGENT, 'accept-encoding': ACCEPT_ENCODING, traceparent };
  if (tracestate !== undefined) headers['tracestate'] = tracestate;
  if (baggage !== undefined) headers['baggage'] = baggage;
  const leased = new Set(Object.keys(lease?.headers ?? {}).map((name) => name.toLowerCase()));
  const names = Object.keys(given);
  if (names.length > REQUEST_HEADERS) return { ok: false, reason: `more than ${REQUEST_HEADERS} headers` };
  let bytes = 0;
  for (const name of names) {
    const value = given[name] ?? '';
    const lower = name.toLowerCase();
    if (!isHeaderName(name)) return { ok: false, reason: 'a header name is not valid' };
    if (isCredentialHeader(name) || leased.has(lower))
      return { ok: false, reason: `the header "${lower}" cannot be set by a tool` };
    if (isRuntimeHeader(name)) continue;
    if (!isHeaderValue(value)) return { ok: false, reason: `the value of the header "${lower}" is not valid` };
    bytes += lower.length + value.length;
    headers[lower] = value;
  }
  if (bytes > REQUEST_BYTES) return { ok: false, reason: `headers of more than ${REQUEST_BYTES} bytes` };
  for (const [name, value] of Object.entries(lease?.headers ?? {})) headers[name.toLowerCase()] = value;
  return { ok: true, headers };
}

/** Length and coding are those of the wire, not of the body that is handed on; cookies are credentials. */
const KEPT_BACK: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'set-cookie', 'set-cookie2', 'alt-svc']);
const RESPONSE_HEADERS = 200;
const VALUE_CHARACTERS = 16_384;

/** Lower-case names; several values are joined by a comma (RFC 9110 5.3). */
export function responseHeaders(from: ResponseHeaders, lease: TakenLease | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  let count = 0;
  for (const name of Object.keys(from)) {
    const value = from[name];
    if (value === undefined || KEPT_BACK.has(name) || isRuntimeHeader(name) || !isHeaderName(name)) continue;
    const text = Array.isArray(value) ? value.join(', ') : value;
    count += 1;
    if (count > RESPONSE_HEADERS) break;
    headers[name] = (lease?.redactText(text) ?? text).slice(0, VALUE_CHARACTERS);
  }
  return headers;
}
