// The URL and headers of a declared request, from its path and header templates and checked arguments. Pure.
// Not responsible for the query, the body or credentials.
// Invariant: the URL has the origin it was given and exactly the expanded path, also after WHATWG parsing; what an argument
// cannot express is a mismatch with the argument's name, never a different request.
import { HEADER_PLACEHOLDER } from '../../src/shared/binding-check.ts';
import { isCredentialHeader, isHeaderName, isHeaderValue, isRuntimeHeader } from '../../src/shared/http-headers.ts';
import type { JsonObject } from '../../src/shared/json.ts';
import { parsePathTemplate } from '../../src/shared/path-template.ts';
import type { Mismatch } from '../schema-check.ts';
import { expandPath, pointer } from './path.ts';
import { scalarText } from './scalar.ts';
import { valueOf } from './value-of.ts';

export type Target =
  | { readonly ok: true; readonly url: URL /** Lower-case names. */; readonly headers: Record<string, string> }
  | Mismatch;
export interface CompiledTarget {
  /** Arguments that stand in the path or in a header. */
  readonly names: readonly string[];
  /** @param origin without a trailing slash; @param search beginning with `?`, or empty */
  at(args: JsonObject, origin: string, search?: string): Target;
}

/** Longest request target that common servers take. */
const URL_CHARACTERS = 8192;

/** @throws Error where the template or a header is not usable: see `checkBinding`. */
export function compileTarget(path: string, headerTemplates: Readonly<Record<string, string>> = {}): CompiledTarget {
  const parsed = parsePathTemplate(path);
  if (!parsed.ok) throw new Error(`path ${parsed.reason}`);
  const { template } = parsed;
  const headers = Object.entries(headerTemplates).map(([name, value]) => [name.toLowerCase(), value] as const);
  for (const [name] of headers) {
    if (!isHeaderName(name) || isCredentialHeader(name) || isRuntimeHeader(name))
      throw new Error(`header "${name}" cannot be set`);
  }
  return {
    names: [...template.names, ...headers.flatMap(([, value]) => placeholders(value))],
    at(args, origin, search = '') {
      const expanded = expandPath(template, args);
      if (!expanded.ok) return expanded;
      const url = URL.parse(`${origin}${expanded.path}${search}`);
      if (url === null || url.origin !== origin || url.pathname !== expanded.path || url.hash !== '') {
        return { ok: false, path: '', reason: 'the arguments do not make a URL that fits the path' };
      }
      if (url.href.length > URL_CHARACTERS)
        return { ok: false, path: '', reason: `the arguments make a URL longer than ${URL_CHARACTERS} characters` };
      const made = expandHeaders(headers, args);
      return made.ok ? { ok: true, url, headers: made.headers } : made;
    },
  };
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

function placeholders(template: string): string[] {
  return [...template.matchAll(HEADER_PLACEHOLDER)].map(([, name = '']) => name);
}
