// What can be said of a declared tool without running it: every argument stands somewhere, every name is an argument.
// Not responsible for schemas' validity or the `select` expression (`select`); both are compiled in the egress thread.
// Invariant: pure; executes nothing of the tenant; an empty list means that the request can be built from valid arguments.
import type { RestBinding } from '../boundary/manifest.ts';
import { isCredentialHeader, isHeaderName, isHeaderValue, isRuntimeHeader } from './http-headers.ts';
import { parsePathTemplate } from './path-template.ts';

export interface BindingProblem {
  /** Field of the binding: `path`, `query`, `headers`, `body` or `inputSchema`. */
  readonly at: string;
  readonly reason: string;
  readonly hint?: string;
}

export interface DeclaredTool {
  /** JSON Schema of an object. */
  readonly inputSchema: { readonly [keyword: string]: unknown };
  readonly binding: RestBinding;
}

type Mapping = NonNullable<RestBinding['query']>;

/** `[wire name, argument]` of a mapping in either form. */
export function mappingEntries(mapping: Mapping | undefined): [wire: string, argument: string][] {
  if (mapping === undefined) return [];
  return Array.isArray(mapping) ? mapping.map((name) => [name, name]) : Object.entries(mapping);
}

/** `{name}` in the value of a header. */
export const HEADER_PLACEHOLDER = /\{([^{}]*)\}/g;

export function checkBinding({ inputSchema, binding }: DeclaredTool): BindingProblem[] {
  const problems: BindingProblem[] = [];
  const given = inputSchema['properties'];
  const properties = isObject(given) ? given : {};
  const placed = new Set<string>();
  const place = (at: string, name: string): void => {
    placed.add(name);
    if (Object.hasOwn(properties, name)) return;
    problems.push({
      at,
      reason: `uses "${name}", which is no argument`,
      hint: `Arguments: ${Object.keys(properties).join(', ') || 'none'}.`,
    });
  };

  checkPath(binding.path, inputSchema, properties, place, problems);
  for (const [wire, name] of mappingEntries(binding.query)) {
    place('query', name);
    if (wire === '') problems.push({ at: 'query', reason: 'has an empty name' });
  }
  for (const [name, value] of Object.entries(binding.headers ?? {})) checkHeader(name, value, place, problems);
  if (binding.body !== undefined && binding.method === 'GET') {
    problems.push({ at: 'body', reason: 'GET has no body', hint: 'Use query, or another method.' });
  }
  if (binding.body !== undefined && binding.body !== 'rest') {
    for (const [, name] of mappingEntries(binding.body)) place('body', name);
  }
  if (binding.body !== 'rest') {
    for (const name of Object.keys(properties)) {
      if (placed.has(name)) continue;
      problems.push({
        at: 'inputSchema',
        reason: `the argument "${name}" stands nowhere in the request`,
        hint: 'Name it in path, query, headers or body, or set body to "rest".',
      });
    }
  }
  return problems;
}

function checkPath(
  path: string,
  inputSchema: DeclaredTool['inputSchema'],
  properties: { readonly [name: string]: unknown },
  place: (at: string, name: string) => void,
  problems: BindingProblem[],
): void {
  const parsed = parsePathTemplate(path);
  if (!parsed.ok) {
    problems.push({ at: 'path', reason: parsed.reason });
    return;
  }
  const required: unknown = inputSchema['required'];
  for (const name of new Set(parsed.template.names)) {
    place('path', name);
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!isObject(property) || 'default' in property) continue;
    if (Array.isArray(required) && required.includes(name)) continue;
    problems.push({ at: 'path', reason: `uses "${name}", which is optional`, hint: 'Make it required, or give it a default.' });
  }
}

function checkHeader(name: string, value: string, place: (at: string, name: string) => void, problems: BindingProblem[]): void {
  if (!isHeaderName(name)) problems.push({ at: 'headers', reason: `"${name}" is no header name` });
  else if (isCredentialHeader(name)) {
    problems.push({ at: 'headers', reason: `"${name}" cannot be set`, hint: 'Credentials come from the connection.' });
  } else if (isRuntimeHeader(name)) problems.push({ at: 'headers', reason: `"${name}" is set by the runtime` });
  if (!isHeaderValue(value))
    problems.push({ at: 'headers', reason: `the value of "${name}" has a character that is not allowed` });
  for (const [, argument = ''] of value.matchAll(HEADER_PLACEHOLDER)) place('headers', argument);
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
