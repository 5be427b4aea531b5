// Encodes the value of a mirrored header (2026-07-28, Streamable HTTP, "Value Encoding").
// Not responsible for which values are mirrored. Invariant: what it gives is a valid field value (RFC 9110, section 5.5).

const PLAIN = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/;
const LIKE_ENCODED = /^=\?base64\?.*\?=$/i;

export function encodeHeaderValue(value: string): string {
  if (PLAIN.test(value) && !LIKE_ENCODED.test(value)) return value;
  return `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
