// The names and sizes of the arguments of a call, for the audit, from their JSON text.
// Not responsible for checking them. Invariant: never a value; at most ARGUMENT_NAMES names, none longer than NAME_LENGTH; never throws.
import { CLOSE_BRACE, COMMA, OPEN_BRACE, QUOTE, skipColon, skipSpace, skipString, skipValue } from './json-scan.ts';

/** Arguments that are told of, and characters of a name. */
export const ARGUMENT_NAMES = 128;
export const NAME_LENGTH = 128;
const decoder = new TextDecoder();

export function argumentShape(json: Uint8Array): { name: string; bytes: number }[] {
  const shape: { name: string; bytes: number }[] = [];
  let at = skipSpace(json, 0, json.length);
  if (json[at] !== OPEN_BRACE) return shape;
  at = skipSpace(json, at + 1, json.length);
  while (json[at] === QUOTE && shape.length < ARGUMENT_NAMES) {
    const nameEnd = skipString(json, at + 1, json.length);
    if (nameEnd < 0) break;
    const name = nameOf(json.subarray(at, nameEnd)).slice(0, NAME_LENGTH);
    const from = skipColon(json, nameEnd, json.length);
    if (from < 0) break;
    const to = skipValue(json, from, json.length, 1);
    if (to < 0) break;
    shape.push({ name, bytes: to - from });
    at = skipSpace(json, to, json.length);
    if (json[at] === CLOSE_BRACE || json[at] !== COMMA) break;
    at = skipSpace(json, at + 1, json.length);
  }
  return shape;
}

function nameOf(quoted: Uint8Array): string {
  const name: unknown = JSON.parse(decoder.decode(quoted));
  return typeof name === 'string' ? name : '';
}
