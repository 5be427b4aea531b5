// A declared REST tool and checked arguments in, an HTTP request out. Pure.
// Not responsible for checking arguments against their schema, for credentials or for sending.
// Invariant: what an argument cannot express is a mismatch with the argument's name, never a different request.
import type { RestBinding } from '../../src/boundary/binding.ts';
import { mappingEntries } from '../../src/shared/binding-check.ts';
import type { Json, JsonObject } from '../../src/shared/json.ts';
import type { Mismatch } from '../schema-check.ts';
import { pointer } from './path.ts';
import { scalarText } from './scalar.ts';
import { compileTarget } from './target.ts';
import { valueOf } from './value-of.ts';

export interface HttpRequest {
  readonly method: RestBinding['method'];
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}
export type BuiltRequest = { readonly ok: true; readonly request: HttpRequest } | Mismatch;
export type BuildRequest = (args: JsonObject, origin: string) => BuiltRequest;

/** @throws Error where the template or a header of the binding is not usable: see `checkBinding`. */
export function compileRestRequest(binding: RestBinding): BuildRequest {
  const target = compileTarget(binding.path, binding.headers);
  const query = mappingEntries(binding.query);
  const elsewhere = new Set([...target.names, ...query.map(([, name]) => name)]);

  return (args, origin) => {
    const search = expandQuery(query, args);
    if (typeof search !== 'string') return search;
    const made = target.at(args, origin, search);
    if (!made.ok) return made;
    const { url, headers } = made;
    const body = bodyOf(binding.body, elsewhere, args);
    if (body !== undefined) headers['content-type'] ??= 'application/json';
    headers['accept'] ??= 'application/json';
    return { ok: true, request: { method: binding.method, url, headers, body } };
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
