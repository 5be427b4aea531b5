// Puts arguments into a path template, so that the path cannot be left (CVE-2026-32871 and its kin).
// Not responsible for parsing the template or for the origin.
// Invariant: the expanded path has the segments of its template, none empty, `.` or `..`, under any number of decodings; encoding
// alone is not enough, since URL parsers treat `%2e%2e` as `..`.
import type { JsonObject } from '../../src/shared/json.ts';
import type { PathTemplate } from '../../src/shared/path-template.ts';
import type { Mismatch } from '../schema-check.ts';
import { scalarText } from './scalar.ts';

export type ExpandedPath = { readonly ok: true; readonly path: string } | Mismatch;

/** Deepest nesting of percent-encodings that is looked through; deeper ones are refused. */
const DECODINGS = 8;
/** UTF-8 forms of ASCII characters that only careless decoders accept: `%c0%ae` is a dot to them. */
const OVERLONG = /%(?:c[01]|e0%[89]|f0%8)/i;
const CONTROL = /[/\\\p{Cc}]/u;
/** RFC 6570 simple expansion leaves only RFC 3986 unreserved characters as they are. */
const SUB_DELIMITERS = /[!'()*]/g;

export function expandPath(template: PathTemplate, args: JsonObject): ExpandedPath {
  let path = '';
  for (const parts of template.segments) {
    let encoded = '';
    let plain = '';
    let name: string | undefined;
    for (const part of parts) {
      if ('text' in part) {
        encoded += part.text;
        plain += part.text;
        continue;
      }
      ({ name } = part);
      const texts = textsOf(args, name);
      if (!Array.isArray(texts)) return texts;
      encoded += texts.map(encode).join(',');
      plain += texts.join(',');
    }
    const reason = name === undefined ? undefined : unsafeSegment(plain);
    if (name !== undefined && reason !== undefined) return { ok: false, path: pointer(name), reason };
    path += `/${encoded}`;
  }
  return { ok: true, path };
}

/** A list stands as its members joined by commas, as RFC 6570 has it; nothing else has a form in a path. */
function textsOf(args: JsonObject, name: string): string[] | Mismatch {
  const value = Object.hasOwn(args, name) ? args[name] : undefined;
  const texts: string[] = [];
  for (const item of Array.isArray(value) ? value : [value]) {
    const text = scalarText(item);
    if (text === undefined)
      return { ok: false, path: pointer(name), reason: 'must be a string, a number or a boolean to stand in a path' };
    if (text === '') return { ok: false, path: pointer(name), reason: 'must not be empty in a path' };
    texts.push(text);
  }
  return texts.length > 0 ? texts : { ok: false, path: pointer(name), reason: 'must not be empty in a path' };
}

function encode(text: string): string {
  // Lone surrogates make encodeURIComponent throw.
  return encodeURIComponent(text.toWellFormed()).replace(SUB_DELIMITERS, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Looks at the segment as every server and proxy on the way might: as it is, and decoded again and again. */
function unsafeSegment(segment: string): string | undefined {
  if (OVERLONG.test(segment)) return 'must not contain an overlong encoding';
  let text = segment;
  for (let round = 0; round <= DECODINGS; round += 1) {
    if (CONTROL.test(text)) return 'must not contain a slash, a backslash or a control character in a path';
    const bare = text.split(';', 1)[0]?.trim(); // some servers cut parameters off before they resolve dots
    if (bare === '' || bare === '.' || bare === '..') return 'must not be empty, "." or ".." in a path';
    const decoded = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (decoded === text) return undefined;
    if (OVERLONG.test(decoded)) return 'must not contain an overlong encoding';
    text = decoded;
  }
  return 'must not be percent-encoded so often';
}

/** RFC 6901. */
export function pointer(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
