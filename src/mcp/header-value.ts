// Decodes a mirrored header value (2026-07-28, Streamable HTTP, "Value Encoding").
// Not responsible for comparing it with the body (`classify`).

const PREFIX = '=?base64?';
const SUFFIX = '?=';
const VISIBLE = /^[\t\x20-\x7e]*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The value that a client meant, or undefined where it is not validly encoded. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!VISIBLE.test(value)) return undefined;
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX) || value.length < PREFIX.length + SUFFIX.length) return value;
  const encoded = value.slice(PREFIX.length, -SUFFIX.length);
  if (!BASE64.test(encoded)) return undefined;
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}
