// URI templates of resources (RFC 6570, the part that can be matched without guessing): parsing, and matching a URI back.
// Not responsible for expanding (clients do) or for which resource wins (`tenants/toolset/resource-index`).
// Invariant: no regular expression is made of an author's text; a match costs one pass over the URI, whatever both hold.
//
// Taken: `{name}` (one segment or a part of one), `{+name}` (anything, slashes included; once, as the last variable of the path)
// and `{?a,b}` (query parameters, each optional; at the end). Between two variables stands text. Under these rules the leftmost
// match of each text is right where any is, so nothing is ever tried twice.

/** Longer URIs match nothing. */
export const URI_CHARACTERS = 4096;
/** Absolute, and nothing but visible ASCII: what a header can mirror. */
export const URI_PATTERN = '^[A-Za-z][A-Za-z0-9+.-]*:[\\x21-\\x7e]+$';
const VARIABLES = 32;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const SUPPORTED = 'use {name}, {+name} as the last variable of the path, or {?a,b} at the end';

export interface UriTemplate {
  /** In the order of the template. */
  readonly variables: readonly string[];
  /** Decoded values by name, without the query parameters that are not there; undefined where the URI is of another form. */
  match(uri: string): Record<string, string> | undefined;
}

/** A variable of the path and the text behind it. */
interface Part {
  readonly name: string;
  readonly wide: boolean;
  readonly after: string;
}

/** The template, or what is wrong with it. */
export function parseUriTemplate(text: string): UriTemplate | string {
  if (text.length > URI_CHARACTERS) return `is longer than ${URI_CHARACTERS} characters`;
  const [head = '', ...rest] = text.split('{');
  if (head.includes('}')) return 'has a "}" without a "{"';
  const parts: Part[] = [];
  let query: string[] = [];
  for (const [index, piece] of rest.entries()) {
    const end = piece.indexOf('}');
    if (end < 0 || piece.indexOf('}', end + 1) >= 0) return 'has braces that do not match';
    const inside = piece.slice(0, end);
    const after = piece.slice(end + 1);
    const isLast = index === rest.length - 1;
    if (inside.startsWith('?')) {
      if (!isLast || after !== '') return `has {${inside}} elsewhere than at its end`;
      query = inside.slice(1).split(',');
      continue;
    }
    if (parts.at(-1)?.wide === true) return `has a variable behind {+${parts.at(-1)?.name}}`;
    if (parts.at(-1)?.after === '') return 'has two variables without text between them';
    const wide = inside.startsWith('+');
    parts.push({ name: wide ? inside.slice(1) : inside, wide, after });
  }
  const variables = [...parts.map((part) => part.name), ...query];
  const wrong = variables.find((name) => !NAME.test(name));
  if (wrong !== undefined) return `has {${wrong.slice(0, 64)}}, which is not supported: ${SUPPORTED}`;
  if (new Set(variables).size < variables.length) return 'has a variable twice';
  if (variables.length === 0) return 'has no variable; use `uri` for a resource with a fixed URI';
  if (variables.length > VARIABLES) return `has more than ${VARIABLES} variables`;
  const last = parts.length - 1;
  return { variables, match: (uri: string) => matched(uri, head, parts, last, query) };
}

function matched(
  uri: string,
  head: string,
  parts: readonly Part[],
  last: number,
  query: readonly string[],
): Record<string, string> | undefined {
  if (uri.length > URI_CHARACTERS || !uri.startsWith(head)) return undefined;
  const mark = query.length === 0 ? -1 : uri.indexOf('?');
  const path = mark < 0 ? uri : uri.slice(0, mark);
  const found: [string, string][] = [];
  let at = head.length;
  for (const [index, { name, wide, after }] of parts.entries()) {
    const end = index === last ? lastEnd(path, after) : path.indexOf(after, at + 1);
    if (end <= at) return undefined;
    const raw = path.slice(at, end);
    if (!wide && (raw.includes('/') || raw.includes('?') || raw.includes('#'))) return undefined;
    const value = decoded(raw);
    if (value === undefined) return undefined;
    found.push([name, value]);
    at = end + after.length;
  }
  if (at !== path.length) return undefined;
  if (mark >= 0 && !readQuery(uri.slice(mark + 1), query, found)) return undefined;
  return Object.fromEntries(found);
}

function lastEnd(path: string, after: string): number {
  return path.endsWith(after) ? path.length - after.length : -1;
}

/** False where a parameter is unknown, stands twice or is not `name=value`. */
function readQuery(text: string, names: readonly string[], found: [string, string][]): boolean {
  const left = new Set(names);
  if (text === '') return true;
  const pairs = text.split('&');
  if (pairs.length > names.length) return false;
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals);
    const value = decoded(pair.slice(equals + 1));
    if (equals < 0 || value === undefined || !left.delete(name)) return false;
    found.push([name, value]);
  }
  return true;
}

function decoded(raw: string): string | undefined {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}
