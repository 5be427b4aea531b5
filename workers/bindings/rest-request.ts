// A declared REST tool and checked arguments in, an HTTP request out. Pure.
// Not responsible for checking arguments against their schema, for credentials or for sending.
// Invariant: the URL has the origin it was given and exactly the expanded path, also after WHATWG parsing; what an argument
// cannot express is a mismatch with the argument's name, never a different request.
import type { RestBinding } from '../../src/boundary/manifest.ts';
import { HEADER_PLACEHOLDER, mappingEntries } from '../../src/shared/binding-check.ts';
import { isCredentialHeader, isHeaderName, isHeaderValue, isRuntimeHeader } from '../../src/shared/http-headers.ts';
import type { Json, JsonObject } from '../../src/shared/json.ts';
import { parsePathTemplate } from '../../src/shared/path-template.ts';
import type { Mismatch } from '../schema-check.ts';
import { expandPath, pointer } from './path.ts';
import { scalarText } from './scalar.ts';

export interface RestRequest {
  readonly method: RestBinding['method'];
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}
export type BuiltRequest = { readonly ok: true; readonly request: RestRequest } | Mismatch;
export type BuildRequest = (args: JsonObject, origin: string) => BuiltRequest;

/** Longest request target that common servers take. */
const URL_CHARACTERS = 8192;

/** @throws Error where the template or a header of the binding is not usable: see `checkBinding`. */
export function compileRestRequest(binding: RestBinding): BuildRequest {
  const parsed = parsePathTemplate(binding.path);
  if (!parsed.ok) throw new Error(`path ${parsed.reason}`);
  const { template } = parsed;
  const query = mappingEntries(binding.query);
  const headers = Object.entries(binding.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  for (const [name] of headers) {
    if (!isHeaderName(name) || isCredentialHeader(name) || isRuntimeHeader(name))
      throw new Error(`header "${name}" cannot be set`);
  }
  const elsewhere = new Set([
    ...template.names,
    ...query.map(([, name]) => name),
    ...headers.flatMap(([, v]) => placeholders(v)),
  ]);

  return (args, origin) => {
    const path = expandPath(template, args);
    if (!path.ok) return path;
    const search = expandQuery(query, args);
    if (typeof search !== 'string') return search;
    const url = URL.parse(`${origin}${path.path}${search}`);
    if (url === null || url.origin !== origin || url.pathname !== path.path || url.hash !== '') {
      return { ok: false, path: '', reason: 'the arguments do not make a URL that fits the path' };
    }
    if (url.href.length > URL_CHARACTERS)
      return { ok: false, path: '', reason: `the arguments make a URL longer than ${URL_CHARACTERS} characters` };
    const made = expandHeaders(headers, args);
    if (!made.ok) return made;
    const body = bodyOf(binding.body, elsewhere, args);
    if (body !== undefined) made.headers['content-type'] ??= 'application/json';
    made.headers['accept'] ??= 'application/json';
    return { ok: true, request: { method: binding.method, url, headers: made.headers, body } };
  };
}

/** Lists are repeated names (OpenAPI `form`, exploded); what is absent or null is left out. */
function expandQuery(entries: readonly (readonly [string, string])[], args: JsonObject): string | Mismatch {
  const pairs: string[] = [];
  for (const [wire, name] of entries) {
    const value = valueOf(args, name);
    if (value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) {
      const text = scalarText(item);
      if (text === undefined)
        return { ok: false, path: pointer(name), reason: 'must be a scalar or a list of scalars to stand in a query' };
      pairs.push(`${encode(wire)}=${encode(text)}`);
    }
  }
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** A space is `%20`: not every server reads `+` as one. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function expandHeaders(
  templates: readonly (readonly [string, string])[],
  args: JsonObject,
): { ok: true; headers: Record<string, string> } | Mismatch {
  const headers: Record<string, string> = {};
  for (const [header, template] of templates) {
    let missing = false;
    let problem: Mismatch | undefined;
    const value = template.replace(HEADER_PLACEHOLDER, (_, name: string) => {
      const given = valueOf(args, name);
      const text = scalarText(given);
      missing ||= given === undefined || given === null;
      if (!missing && (text === undefined || !isHeaderValue(text))) {
        problem ??= {
          ok: false,
          path: pointer(name),
          reason: 'must be a scalar of printable ASCII characters to stand in a header',
        };
      }
      return text ?? '';
    });
    if (problem !== undefined) return problem;
    if (missing) continue;
    if (!isHeaderValue(value))
      return { ok: false, path: '', reason: `the arguments make the header "${header}" longer than allowed` };
    headers[header] = value;
  }
  return { ok: true, headers };
}

function bodyOf(body: RestBinding['body'], elsewhere: ReadonlySet<string>, args: JsonObject): Uint8Array | undefined {
  if (body === undefined) return undefined;
  const entries =
    body === 'rest' ? Object.keys(args).flatMap((name) => (elsewhere.has(name) ? [] : [[name, name]])) : mappingEntries(body);
  const members: [string, Json][] = [];
  for (const [wire = '', name = ''] of entries) {
    const value = valueOf(args, name);
    if (value !== undefined) members.push([wire, value]);
  }
  return Buffer.from(JSON.stringify(Object.fromEntries(members)));
}

function valueOf(args: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(args, name) ? args[name] : undefined;
}

function placeholders(template: string): string[] {
  return [...template.matchAll(HEADER_PLACEHOLDER)].map(([, name = '']) => name);
}
