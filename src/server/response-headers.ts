// The headers that every response of the edge has. Not responsible for those of a single answer.
// Invariant: nothing of an answer is cached by others, sniffed, framed or run in a browser.

/** Names the request in the audit trail and in the author's log. */
export const CORRELATION_HEADER = 'x-correlation-id';

export const COMMON_HEADERS: readonly string[] = [
  'cache-control',
  'no-store',
  'x-content-type-options',
  'nosniff',
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy',
  'no-referrer',
];
export const JSON_HEADERS: readonly string[] = ['content-type', 'application/json', ...COMMON_HEADERS];
/** `X-Accel-Buffering` keeps reverse proxies from holding events back (Streamable HTTP, "Receiving Messages"). */
export const STREAM_HEADERS: readonly string[] = [
  'content-type',
  'text/event-stream',
  'x-accel-buffering',
  'no',
  ...COMMON_HEADERS,
];

/** As an object, for Fastify's reply. */
export const JSON_HEADER_OBJECT: Readonly<Record<string, string>> = Object.freeze(
  Object.fromEntries(Array.from({ length: JSON_HEADERS.length / 2 }, (_, i) => JSON_HEADERS.slice(2 * i, 2 * i + 2))),
);
