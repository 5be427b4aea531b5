// Which request headers belong to the runtime, so that neither tool code nor a declared tool may set them.
// Not responsible for building requests or for reading responses.
// Invariant: names are compared in lower case; what is not known to be harmful passes.

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
export function isHeaderName(name: string): boolean {
  return name.length <= 256 && TOKEN.test(name);
}

/** Visible ASCII, space and tab: no CR, LF or NUL, and nothing that two readers could decode differently. */
const VALUE = /^[\t\x20-\x7e]*$/;
export function isHeaderValue(value: string): boolean {
  return value.length <= 16_384 && VALUE.test(value);
}

/** Carry a credential or an identity: a tool that sets one is refused. */
const CREDENTIAL: ReadonlySet<string> = new Set(['authorization', 'cookie', 'cookie2', 'proxy-authorization', 'set-cookie']);
export function isCredentialHeader(name: string): boolean {
  return CREDENTIAL.has(name.toLowerCase());
}

/** Hop-by-hop (RFC 9110 7.6.1), framing, routing, and what the runtime sets itself: client libraries send some of them by habit. */
const RUNTIME: ReadonlySet<string> = new Set([
  'accept-encoding',
  'baggage',
  'connection',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'traceparent',
  'tracestate',
  'transfer-encoding',
  'upgrade',
  'via',
]);
export function isRuntimeHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return RUNTIME.has(lower) || lower.startsWith('proxy-') || lower.startsWith('x-forwarded-') || lower.startsWith(':');
}
